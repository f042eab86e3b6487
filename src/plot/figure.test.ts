import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { textWidth } from "../base/font-widths.ts";
import { packageRoot } from "../base/package-root.ts";
import { gemmaTables } from "../card/published.ts";
import { publishedFigure } from "../card/published-figure.ts";
import { compareEvaluations } from "../evaluate/compare.ts";
import { cardEvaluations } from "../evaluate/scored.test-helper.ts";
import type { SparsityReport } from "../prune/sparsity.ts";
import { comparisonFigure } from "../report/comparison-figure.ts";
import { barFigure } from "./bar-figure.ts";
import { type Figure, ink, seriesColors } from "./figure.ts";
import { histogramFigure } from "./histogram-figure.ts";
import { blockFigure, sweepFigure } from "./line-figure.ts";
import { lossFigure } from "./loss-figure.ts";
import { sparsityFigure } from "./sparsity-figure.ts";

const counts = { count: 10, zeros: 5, newZeros: 5, sparsity: 0.5 };
const sparsity: SparsityReport = {
  name: "a model",
  tensors: [{ name: "model.layers.0.mlp.up_proj.weight", ...counts }],
  layers: [{ layer: 0, ...counts }],
  scope: counts,
  ...{ modelCount: 20, scopeShare: 0.5, zeroShare: 0.25, newZeroShare: 0.25, summary: "", markdown: "" },
};
const histogram = { name: "dense", edges: [-1, 0, 1], counts: [3, 4], zeros: 1, outside: 2, count: 10 };
const comparison = compareEvaluations(...cardEvaluations);

/** Each kind with what its picture and its caption must say. */
const kinds: Record<string, { figure: Figure; shown: string[]; caption: RegExp }> = {
  losses: {
    figure: lossFigure({
      curves: {
        "distilled <a>": [
          { step: 0, heldOut: 4 },
          { step: 1, loss: 3.5 },
          { step: 2, loss: 3, heldOut: 3.2 },
        ],
      },
      source: "somewhere",
    }),
    shown: ["Loss", "distilled &#60;a&#62;, training", "distilled &#60;a&#62;, held out", "loss (lower is better)"],
    caption: /Nats a token; step 0 is before training\..* Source: somewhere\./,
  },
  bars: {
    figure: barFigure({
      title: "Bars & <more>",
      unit: "score (%)",
      series: [{ name: "one", bars: [{ label: "a_b", value: 40, low: 30, high: 55, n: 7 }] }],
      marks: [{ name: "guessing", bars: [{ label: "a_b", value: 25 }] }],
      source: "somewhere",
    }),
    shown: ["Bars &amp; &#60;more&#62;", "a_b", "n = 7", "40.0", "guessing", "score (%)"],
    caption: /score \(%\).* n = 7 documents a row\. Source: somewhere\./,
  },
  comparison: {
    figure: comparisonFigure(comparison),
    shown: ["HellaSwag", "43.5", "29.5", "MMLU formal logic", "n = 126", "best constant answer"],
    caption: /% of the documents.*95 % intervals.*100 to 726\. Source: lm-evaluation-harness/,
  },
  sparsity: {
    figure: sparsityFigure(sparsity),
    shown: ["mlp.up_proj", "50", "block"],
    caption: /n = 10 weights.*50\.0 % of them/,
  },
  histogram: {
    figure: histogramFigure(histogram, { ...histogram, name: "pruned" }),
    shown: ["weights (millions)", "dense", "pruned"],
    caption: /10\.0 % in dense.*2 larger ones.*n = 10 weights/,
  },
  sweep: {
    figure: sweepFigure({
      title: "Sweep",
      unit: "perplexity",
      isLogarithmic: true,
      chosen: 0.5,
      series: [{ name: "wanda", points: [0, 0.5].map((x) => ({ x, value: 12 + 1000 * x, low: 10 })) }],
      notes: "n = 12 windows",
      source: "here",
    }),
    shown: ["perplexity", "500", "sparsity (%)", "wanda", "dense 12.0", "512"],
    caption: /n = 12 windows\..*Source: here\./,
  },
  blocks: {
    figure: blockFigure({
      title: "Norms",
      unit: "largest / median",
      isLogarithmic: true,
      series: [{ name: "mlp.up_proj", points: [0, 1].map((x) => ({ x, value: 10 ** x })) }],
      notes: "n = 2 windows",
      source: "here",
    }),
    shown: ["mlp.up_proj", "block", ">10<"],
    caption: /Cells: largest \/ median\. n = 2 windows\. Source: here\./,
  },
  published: {
    figure: publishedFigure(gemmaTables.find(({ id }) => id === "reasoning-pt")!),
    shown: ["Gemma 3 PT 27B", "HellaSwag, 10-shot", "9.48", "20.0"],
    caption: /scores in %.*Source: Google DeepMind/,
  },
};

describe("figures", () => {
  for (const [kind, { figure, shown, caption }] of Object.entries(kinds)) {
    it(`of ${kind} show their numbers and say what they are, drawn without a browser`, async () => {
      const bundle = await (figure as unknown as Record<symbol, () => Promise<Record<string, unknown>>>)[
        Symbol.for("Jupyter.display")
      ]!();
      assert.deepEqual(bundle["application/vnd.plotly.v1+json"], { data: figure.data, layout: figure.layout });
      const svg = String(bundle["image/svg+xml"]);
      assert.match(svg, /^<svg/);
      for (const text of shown) assert.ok(svg.includes(text), `${text} is not drawn`);
      assert.ok(!/NaN|="undefined/.test(svg), "a number is missing");
      const png = Buffer.from(String(bundle["image/png"]), "base64");
      assert.deepEqual([...png.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
      assert.equal(png.readUInt32BE(16), 2 * Number(figure.layout.width));
      assert.match(figure.caption, caption);
      assert.ok(String(bundle["text/plain"]).endsWith(figure.caption));
    });
  }

  it("give intervals as the distances from the value", () => {
    const [bars] = kinds.bars!.figure.data as { error_x: { array: number[]; arrayminus: number[] } }[];
    assert.deepEqual([bars!.error_x.array, bars!.error_x.arrayminus], [[15], [10]]);
  });

  it("stand on the page's own ground, in colours that hold on white and on dark themes", () => {
    const luminance = (color: string) =>
      [1, 3, 5]
        .map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index]!, 0);
    const contrast = (a: string, b: string) => {
      const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
      return (high! + 0.05) / (low! + 0.05);
    };
    for (const { figure } of Object.values(kinds)) assert.equal(figure.layout.paper_bgcolor, "rgba(0,0,0,0)");
    for (const ground of ["#ffffff", "#111111"]) {
      assert.ok(contrast(ink, ground) > 4, `text on ${ground}`);
      for (const color of seriesColors) assert.ok(contrast(color, ground) > 2.9, `${color} on ${ground}`);
    }
  });

  it("keep legends whole in the widest of the usual fonts", async () => {
    const name = "gemma-3-270m-magnitude-50-of-a-long-name";
    const bars = [{ label: "x", value: 1 }];
    const svg = await barFigure({
      unit: "%",
      series: [
        { name, bars },
        { name: "b", bars },
      ],
    }).svg();
    // What plotly takes for the legend is what DejaVu Sans needs, so that no clip path cuts it.
    const [, width] = /<clipPath id="legend[^>]*><rect width="([\d.]+)"/.exec(svg)!;
    assert.ok(Number(width) > textWidth(name, 11) + 40, `${width}`);
  });

  it("give the same text again, so that a notebook run again has no other outputs", async () => {
    const { figure } = kinds.sweep!;
    assert.equal(await figure.svg(), await figure.svg());
  });

  it("grow with their rows, so that labels never overlap", () => {
    const height = (rows: number) => {
      const bars = Array.from({ length: rows }, (_, index) => ({ label: `task ${index}`, value: 50 }));
      return Number(barFigure({ unit: "%", series: [{ name: "a", bars }] }).layout.height);
    };
    assert.ok(height(57) - height(7) >= 50 * 27);
  });

  it("keep a figure's text whole, however long", async () => {
    const title = `A title ${"of many words ".repeat(20)}`;
    const figure = barFigure({
      title,
      unit: "%",
      series: [{ name: "a", bars: [{ label: "x", value: 1 }] }],
      notes: title,
    });
    assert.ok((await figure.svg()).match(/of many words/g)!.length >= 20);
    assert.ok(String((figure.layout.title as { text: string }).text).split("<br>").length > 2);
  });
});

it("two figures drawn at once both come, and keep the script alive until then", () => {
  const script = `
    import { barFigure } from "./src/index.ts";
    const draw = (title) =>
      barFigure({ title, unit: "%", series: [{ name: "a", bars: [{ label: "x", value: 1 }] }] }).svg();
    const [first, second] = await Promise.all([draw("first one"), draw("second one")]);
    console.log(first.includes("first one"), second.includes("second one"));
  `;
  const run = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script], {
    encoding: "utf8",
    cwd: packageRoot(),
  });
  assert.deepEqual([run.stdout, run.status], ["true true\n", 0], run.stderr);
});

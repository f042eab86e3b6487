import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { packageRoot } from "../base/package-root.ts";
import { gemmaTables } from "../card/published.ts";
import { publishedFigure } from "../card/published-figure.ts";
import { compareEvaluations } from "../evaluate/compare.ts";
import { cardEvaluations } from "../evaluate/scored.test-helper.ts";
import type { SparsityReport } from "../prune/sparsity.ts";
import { comparisonFigure } from "../report/comparison-figure.ts";
import { barFigure } from "./bar-figure.ts";
import type { Figure } from "./figure.ts";
import { histogramFigure } from "./histogram-figure.ts";
import { sweepFigure } from "./line-figure.ts";
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
    shown: ["zeros (%)", "block"],
    caption: /n = 10 weights.*50\.0 % of them/,
  },
  histogram: {
    figure: histogramFigure(histogram, { ...histogram, name: "pruned" }),
    shown: ["weights (thousands)", "dense", "pruned"],
    caption: /10\.0 % in dense.*2 larger ones.*n = 10 weights/,
  },
  sweep: {
    figure: sweepFigure({
      title: "Sweep",
      unit: "perplexity",
      isLogarithmic: true,
      series: [{ name: "wanda", points: [0, 0.5].map((x) => ({ x, value: 12 + 1000 * x, low: 10 })) }],
      notes: "n = 12 windows",
      source: "here",
    }),
    shown: ["perplexity", "500", "sparsity (%)", "wanda"],
    caption: /n = 12 windows\..*Source: here\./,
  },
  published: {
    figure: publishedFigure(gemmaTables.find(({ id }) => id === "reasoning-pt")!),
    shown: ["Gemma 3 PT 27B", "HellaSwag, 10-shot", "9.48", "20.0"],
    caption: /Scores in %.*Source: Google DeepMind/,
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
      assert.match(figure.caption, caption);
      assert.ok(String(bundle["text/plain"]).endsWith(figure.caption));
    });
  }

  it("give intervals as the distances from the value", () => {
    const [bars] = kinds.bars!.figure.data as { error_x: { array: number[]; arrayminus: number[] } }[];
    assert.deepEqual([bars!.error_x.array, bars!.error_x.arrayminus], [[15], [10]]);
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
    assert.ok(height(57) - height(7) >= 50 * 30);
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

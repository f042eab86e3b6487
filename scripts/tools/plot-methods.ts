/** `npm run plots:methods`: collects what pruning recipes leave of the model from the log's tables, as data for a notebook and as the README's picture. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../src/base/atomic.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { axis, captionOf, type Figure, ink, labelRoom, makeFigure, seriesColors } from "../../src/plot/figure.ts";

/** A row of `npm run bench:methods`. */
export interface Recipe {
  /** As people name it, e.g. `"Wanda, swaps"`. */
  readonly name: string;
  /** Options of `prune`; none for the dense model. */
  readonly recipe: Readonly<Record<string, unknown>>;
  readonly pattern: "dense" | "50 %" | "2:4";
  readonly seconds: number;
  readonly peakGB: number;
  /** WikiText-2's by token. */
  readonly perplexity: number;
  /** HellaSwag's accuracy in percent with its 95 % interval. */
  readonly hellaswag: number;
  readonly low: number;
  readonly high: number;
  /** Mid-p of McNemar's test against magnitude on the same documents, as printed; null for magnitude itself. */
  readonly p: string | null;
}

const names: Readonly<Record<string, string>> = {
  ...{ magnitude: "magnitude", random: "random", wanda: "Wanda", ria: "RIA", sparsegpt: "SparseGPT", admm: "ADMM" },
  ...{ dsnot: "DSnoT", swaps: "swaps", owl: "OWL's budgets" },
};

const ROW =
  /^\| `(\{.*?\})` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \[([\d.]+), ([\d.]+)\](?:, p ([<\d. ]+))?; acc_norm/gm;

/** The rows of a log, newest first, so that of two of one recipe the later run counts; options that there are no more are left out. */
export function recipesOf(log: string): Recipe[] {
  const found = new Map<string, Recipe>();
  for (const [, text = "", seconds, peak, perplexity, hellaswag, low, high, p] of log.matchAll(ROW)) {
    const recipe = JSON.parse(text) as Record<string, unknown>;
    if (found.has(text) || recipe.compensate) continue;
    const { method, budgets, refine, pattern } = recipe;
    const extras = [budgets, refine].flatMap((part) =>
      part === undefined ? [] : typeof part === "string" ? (names[part] ?? part) : "own budgets",
    );
    found.set(text, {
      name: method === undefined ? "dense" : [names[String(method)] ?? String(method), ...extras].join(", "),
      recipe,
      pattern: method === undefined ? "dense" : pattern === "2:4" ? "2:4" : "50 %",
      ...{ seconds: Number(seconds), peakGB: Number(peak), perplexity: Number(perplexity) },
      ...{ hellaswag: Number(hellaswag), low: Number(low), high: Number(high), p: p?.trim() ?? null },
    });
  }
  return [...found.values()].sort((a, b) => a.perplexity - b.perplexity);
}

/** Perplexity and HellaSwag of the recipes at 50 %, with the dense model as a line. */
export function methodsFigure(recipes: readonly Recipe[]): Figure {
  const dense = recipes.find(({ pattern }) => pattern === "dense");
  // Random pruning, the control, leaves a perplexity that no axis holds beside the others.
  const rows = recipes.filter(({ pattern, recipe }) => pattern === "50 %" && recipe.method !== "random");
  const labels = rows.map(({ name }) => name);
  const points = (x: (row: Recipe) => number, color: string, axisName: string) => ({
    ...{ type: "scatter", mode: "markers", showlegend: false, xaxis: axisName, y: labels, x: rows.map(x) },
    marker: { color, size: 10 },
  });
  const whiskers = {
    ...{ type: "data", symmetric: false, color: seriesColors[1], thickness: 1.5, width: 4 },
    array: rows.map(({ high, hellaswag }) => high - hellaswag),
    arrayminus: rows.map(({ low, hellaswag }) => hellaswag - low),
  };
  const line = (value: number, xref: string) => ({
    ...{ type: "line", xref, x0: value, x1: value, yref: "paper", y0: 0, y1: 1 },
    line: { color: ink, dash: "dash", width: 1.5 },
  });
  const values = (text: (row: Recipe) => string, x: (row: Recipe) => number, xref: string, color: string) =>
    rows.map((row) => ({
      ...{ text: text(row), showarrow: false, font: { color, size: 11 }, xref, x: x(row), xanchor: "left" },
      ...{ yref: "y", y: row.name, xshift: 9 },
    }));
  const heading = (text: string, x: number) => ({
    ...{ text: `<b>${text}</b>`, showarrow: false, xref: "paper", x, xanchor: "left" },
    ...{ yref: "paper", y: 1, yanchor: "bottom", yshift: 8 },
  });
  const format = (value: number) => (value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1));
  const denseText = dense ? `; dashed: dense, ${dense.perplexity.toFixed(1)} and ${dense.hellaswag.toFixed(1)} %` : "";
  return makeFigure({
    title: "Gemma 3 270M with half of its blocks' weights pruned",
    caption: captionOf(
      `12 windows of 2,048 tokens of WikiText-2, HellaSwag's first 200 documents with 95 % intervals${denseText}`,
      "Source: notebooks/LOG.md",
    ),
    data: [
      points(({ perplexity }) => perplexity, seriesColors[0], "x"),
      { ...points(({ hellaswag }) => hellaswag, seriesColors[1], "x2"), error_x: whiskers },
    ],
    plotHeight: 30 * rows.length,
    left: labelRoom(labels),
    above: 22,
    below: 30,
    hasLegend: false,
    annotations: [
      heading("perplexity (log scale; lower is better)", 0),
      heading("HellaSwag, % right (higher is better)", 0.56),
      ...values(
        ({ perplexity }) => format(perplexity),
        ({ perplexity }) => Math.log10(perplexity),
        "x",
        seriesColors[0],
      ),
      ...values(
        ({ hellaswag }) => hellaswag.toFixed(1),
        ({ high }) => high,
        "x2",
        seriesColors[1],
      ),
    ],
    layout: {
      xaxis: axis({
        ...{ type: "log", domain: [0, 0.48], range: [Math.log10(13), Math.log10(9000)] },
        ...{ tickmode: "array", tickvals: [20, 50, 100, 1000], ticktext: ["20", "50", "100", "1,000"] },
      }),
      xaxis2: axis({ domain: [0.56, 1], range: [20, 56], dtick: 10 }),
      shapes: dense ? [line(dense.perplexity, "x"), line(dense.hellaswag, "x2")] : [],
      yaxis: axis({ type: "category", range: [rows.length - 0.4, -0.6], showgrid: true }),
    },
  });
}

async function write(): Promise<void> {
  const recipes = recipesOf(readFileSync(join(packageRoot(), "notebooks", "LOG.md"), "utf8"));
  const data = join(packageRoot(), "data");
  await writeFileAtomic(join(data, "expected", "recipes.json"), `${JSON.stringify(recipes, null, 2)}\n`);
  await writeFileAtomic(join(data, "plots", "methods-50.svg"), await methodsFigure(recipes).svg());
  console.log(`${recipes.length} recipes: data/expected/recipes.json, data/plots/methods-50.svg`);
}

if (process.argv[1] && /plot-methods\.[jt]s$/.test(process.argv[1])) await write();

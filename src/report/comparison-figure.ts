/** A comparison of two models as bars: accuracies with their intervals, and what blind answering would get. */
import type { ComparisonData } from "../evaluate/compare.ts";
import type { ComparisonRow } from "../evaluate/comparison-row.ts";
import { type Bar, barFigure } from "../plot/bar-figure.ts";
import type { Figure, FigureText } from "../plot/figure.ts";
import { shortNames } from "./conclusion.ts";

/** Two bars for each row of the comparison, in percent with 95 % intervals; marks for guessing and for the best constant answer. */
export function comparisonFigure(data: ComparisonData, text: FigureText = {}): Figure {
  const [nameA, nameB] = shortNames(data);
  const bars = (pick: (row: ComparisonRow) => readonly [value: number, low?: number, high?: number]): Bar[] =>
    data.rows.map((row) => {
      const [value, low, high] = pick(row).map((share) => share && 100 * share);
      return { label: row.label, value: value!, n: row.n, ...(low !== undefined && { low, high: high! }) };
    });
  const isDemo = data.rows.some((row) => row.isDemo);
  return barFigure({
    title: `Right answers: ${nameA} and ${nameB}`,
    source: "lm-evaluation-harness's rules (acc), scored by Prunelab",
    ...text,
    series: [
      { name: nameA, bars: bars(({ a, aLow, aHigh }) => [a, aLow, aHigh]) },
      { name: nameB, bars: bars(({ b, bLow, bHigh }) => [b, bLow, bHigh]) },
    ],
    marks: [
      { name: "guessing", bars: bars(({ chance }) => [chance]) },
      { name: "best constant answer", bars: bars(({ bestConstant }) => [bestConstant]) },
    ],
    unit: "accuracy (% of the documents)",
    notes: `${isDemo ? "Made-up demo documents, not the benchmark. " : ""}Whiskers: 95 % intervals (Wilson)`,
  });
}

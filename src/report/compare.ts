/** Two evaluations side by side: the statistics, what may be concluded from them, and how a notebook shows it, as tables and a plot. */

import { display } from "../base/display-name.ts";
import { type CompareOptions, type ComparisonData, compareEvaluations } from "../evaluate/compare.ts";
import type { Evaluation } from "../evaluate/evaluation.ts";
import type { Figure } from "../plot/figure.ts";
import { comparisonBlocks } from "./comparison.ts";
import { comparisonFigure } from "./comparison-figure.ts";
import { conclusions } from "./conclusion.ts";
import { html, markdown, plainText } from "./document.ts";

export interface Comparison extends ComparisonData {
  /** What may be concluded, a sentence or a few for each finding. */
  readonly conclusion: readonly string[];
  /** The whole report in Markdown. */
  readonly markdown: string;
  /** The whole report for a terminal. */
  toString(): string;
  /** The accuracies as bars. */
  figure(): Figure;
  [display](): Promise<Record<"text/plain" | "text/markdown" | "text/html", string>>;
}

/**
 * Compares two models scored on the same documents: `b` against `a`, e.g. pruned against dense.
 *
 * @throws PrunelabError if they were not scored on the same tasks and documents, or the seed is not an integer.
 */
export function compare(a: Evaluation, b: Evaluation, options: CompareOptions = {}): Comparison {
  const data = compareEvaluations(a, b, options);
  const blocks = comparisonBlocks(data);
  const bundle = { "text/plain": plainText(blocks), "text/markdown": markdown(blocks), "text/html": html(blocks) };
  const figure = () => comparisonFigure(data);
  return {
    ...data,
    conclusion: conclusions(data),
    markdown: bundle["text/markdown"],
    toString: () => bundle["text/plain"],
    figure,
    async [display]() {
      // As pixels inside the page: pages that are not trusted show no SVG.
      const { caption, layout, png } = figure();
      const source = Buffer.from(await png()).toString("base64");
      const picture = `<img alt="${caption.replaceAll('"', "&quot;")}" width="${layout.width}" src="data:image/png;base64,${source}">`;
      return { ...bundle, "text/html": `${bundle["text/html"]}\n${picture}` };
    },
  };
}

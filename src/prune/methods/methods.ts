/** The table of methods: a new one is a literal of its own and its line here. Options, errors, `--help` and README.md are made from it. */
import { admm } from "./admm.ts";
import { dsnot } from "./dsnot.ts";
import { magnitude, random } from "./magnitude.ts";
import type { MaskRefinement, PruningMethod } from "./method.ts";
import { sparsegpt } from "./sparsegpt.ts";
import { swaps } from "./swaps.ts";
import { ria, wanda } from "./wanda.ts";

export const pruningMethods: readonly PruningMethod[] = [magnitude, random, wanda, ria, sparsegpt, admm];
export const maskRefinements: readonly MaskRefinement[] = [dsnot, swaps];

/** The table in Markdown, as the documentation has it. */
export function methodsMarkdown(): string {
  const needs = { nothing: "weights alone", squares: "squares of the inputs", gram: "Gram matrix of the inputs" };
  const rows = [
    ...pruningMethods.map(({ name, summary, pattern, ...row }) => [
      `\`${name}\``,
      summary,
      needs[row.needs],
      pattern,
      row.source,
    ]),
    ...maskRefinements.map(({ name, summary, ...row }) => [
      `refine: \`${name}\``,
      summary,
      needs[row.needs],
      "",
      row.source,
    ]),
  ];
  const lines = [
    ["method", "what it does", "looks at", "pattern unless given", "source"],
    Array(5).fill("---"),
    ...rows,
  ];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");
}

/** Tells whether a cell can run, needs more lines, or can never run, from the errors of the parser. */
import type { Diagnostic } from "typescript";
import { parseCell } from "./cell-source.ts";
import type { Completeness } from "./language-messages.ts";
import { questionIn } from "./question.ts";

const INDENT = "  ";
/** An unterminated template literal, comment, and regular expression or string that may go on in the next line. */
const UNTERMINATED: ReadonlySet<number> = new Set([1160, 1010]);

export function isComplete(source: string): Completeness {
  if (questionIn(source) !== undefined) return { status: "complete" };
  const { text, errors } = parseCell(source);
  if (errors.length === 0) return { status: "complete" };
  const end = text.trimEnd().length;
  const first = errors[0] as Diagnostic;
  const reachesEnd = (first.start ?? 0) >= end || UNTERMINATED.has(first.code);
  return reachesEnd ? { status: "incomplete", indent: nextIndent(source) } : { status: "invalid" };
}

function nextIndent(source: string): string {
  const line = source.trimEnd().split("\n").at(-1) ?? "";
  const current = /^\s*/.exec(line)?.[0] ?? "";
  return /[{([]\s*$/.test(line) ? current + INDENT : current;
}

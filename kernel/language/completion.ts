/** Completes a cell from its types, with what each name is and its signature. */

import { toCodePoints, toUnits } from "../protocol/code-points.ts";
import type { Checker } from "./checker.ts";
import { completeImport } from "./import-completion.ts";
import type { Completions } from "./language-messages.ts";

const MAX_ITEMS = 500;
const MAX_SIGNATURES = 60;

export function completeCell(checker: Checker, source: string, position: number): Completions {
  const at = toUnits(source, position);
  const imported = completeImport(source, at, process.cwd());
  if (imported) return imported;
  const { start, end, candidates, original } = checker.complete(source, at);
  const typed = source.slice(start, at).toLowerCase();
  const fitting = candidates.filter((name) => name.toLowerCase().startsWith(typed));
  const kinds = new Map(original?.entries.map((entry) => [entry.name, entry.kind as string]));
  const items = (fitting.length > 0 ? fitting : candidates).slice(0, MAX_ITEMS).map((text) => ({
    text,
    kind: kinds.get(text) ?? "",
    signature: "",
  }));
  for (const item of items.slice(0, MAX_SIGNATURES)) item.signature = checker.signature(item.text, at);
  return { start: toCodePoints(source, start), end: toCodePoints(source, end), items };
}

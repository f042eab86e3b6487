/** Type-checks cells one after another, as the kernel would, without running them. */
import type { CompileError } from "../language/language-messages.ts";
import { questionIn } from "../language/question.ts";
import type { LanguageService } from "../server/language-service.ts";
import { type CodeCell, hasTag } from "./notebook.ts";

export interface CheckedCell {
  cell: CodeCell;
  /** From 1, among the code cells. */
  number: number;
  error: CompileError;
}

/** The cells with errors; the later ones are checked as if those had none. */
export async function checkCells(language: LanguageService, cells: readonly CodeCell[]): Promise<CheckedCell[]> {
  const found: CheckedCell[] = [];
  for (const [i, cell] of cells.entries()) {
    if (hasTag(cell, "skip-execution") || questionIn(cell.source) !== undefined) continue;
    const file = `cell-${i + 1}.ts`;
    const planned = await language.plan(cell.source, file, true);
    if ("error" in planned) {
      // An error of types is one that the tag asks for.
      if (!hasTag(cell, "raises-exception")) found.push({ cell, number: i + 1, error: planned.error });
      await language.plan(cell.source, file, false);
    }
    language.commit();
  }
  return found;
}

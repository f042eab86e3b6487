/** Names a cell by all the code up to it, so that a change above a cell is a change of the cell too. */
import { createHash } from "node:crypto";
import { kernelInfo } from "../server/kernel-info.ts";
import { type CodeCell, hasTag, isCode, type Notebook } from "./notebook.ts";

/** A hash for each cell that runs, for a later resumed run to know it by. */
export function chains(notebook: Notebook): Map<CodeCell, { chain: string }> {
  const found = new Map<CodeCell, { chain: string }>();
  let chain = `prunelab ${kernelInfo().implementation_version}`;
  for (const cell of notebook.cells.filter(isCode)) {
    if (hasTag(cell, "skip-execution")) continue;
    chain = createHash("sha256").update(`${chain}\0${cell.source}`).digest("hex").slice(0, 32);
    found.set(cell, { chain });
  }
  return found;
}

/** Plans a resumed run: which cells of an earlier one may stay as they are, and which must run again for what they make. */
import { type CellNames, cellNames } from "./cell-names.ts";
import { type CodeCell, isCode, isObject, type Notebook } from "./notebook.ts";
import type { Origin } from "./run-notebook.ts";

/**
 * From the first cell that has no passed run recorded, or whose code or that above it has changed, all cells run. Before
 * it a cell is reused, with its saved outputs, when nothing that runs can depend on what it did; else it is rerun.
 * A kernel is new, so there is no state to go on from.
 */
export function planResume(
  previous: Notebook,
  cellChains: ReadonlyMap<CodeCell, { chain: string }>,
): Map<CodeCell, Origin> {
  const passed = new Map<unknown, CodeCell>();
  for (const cell of previous.cells.filter(isCode)) {
    const { status, chain } = isObject(cell.metadata.prunelab) ? cell.metadata.prunelab : {};
    if (status === "passed" && typeof chain === "string") passed.set(chain, cell);
  }
  const cells = [...cellChains.keys()];
  const saved = (cell: CodeCell) => passed.get(cellChains.get(cell)?.chain);
  const index = cells.findIndex((cell) => !saved(cell));
  const first = index < 0 ? cells.length : index;
  const needed = neededCells(
    cells.map(({ source }) => cellNames(source)),
    first,
  );
  const origins = new Map<CodeCell, Origin>();
  for (const [i, cell] of cells.entries()) {
    origins.set(cell, i >= first ? "run" : needed.has(i) ? "rerun" : "reused");
    const kept = saved(cell);
    if (origins.get(cell) !== "reused" || !kept) continue;
    cell.outputs = structuredClone(kept.outputs);
    cell.metadata = { ...cell.metadata, prunelab: kept.metadata.prunelab };
  }
  return origins;
}

/** The cells before `first` that those from `first` on depend on, rather one too many. */
export function neededCells(cells: readonly CellNames[], first: number): Set<number> {
  const changed = new Set(cells.flatMap(({ assigns }) => [...assigns]));
  // A function sees what a name means when it is called, so every cell counts that declares it.
  const sources = cells.map(({ reads }, i) =>
    cells.flatMap(({ declares }, source) => {
      const names = source === i ? [] : [...reads].filter((name) => declares.has(name));
      const isValue = names.some((name) => declares.get(name) === "value" || changed.has(name));
      return names.length === 0 ? [] : [{ source, isValue }];
    }),
  );

  // Cells that share a value may change it for each other, by whatever name: they belong together.
  const groups = cells.map((_, i) => i);
  const groupOf = (i: number): number => (groups[i] === i ? i : groupOf(groups[i] as number));
  for (const [i, found] of sources.entries()) {
    for (const { source, isValue } of found) if (isValue) groups[groupOf(i)] = groupOf(source);
  }

  const needed = new Set<number>();
  const runs = (i: number) => i >= first || needed.has(i);
  for (let before = -1; before !== needed.size; ) {
    before = needed.size;
    const running = cells.map((_, i) => i).filter(runs);
    const live = new Set(running.map(groupOf));
    const read = new Set(running.flatMap((i) => (sources[i] ?? []).map(({ source }) => source)));
    for (let i = 0; i < first; i++) {
      // Without a later cell there is nothing that could depend on it.
      if (cells.length > first && (cells[i]?.isOpen || live.has(groupOf(i)) || read.has(i))) needed.add(i);
    }
  }
  return needed;
}

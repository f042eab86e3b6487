/** Reads sets from a folder of their original files, and gives the rows the fields that the Hub serves. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { readCsv } from "./csv.ts";
import { atPlace } from "./fields.ts";
import { readJsonLines } from "./jsonl.ts";
import type { DatasetRef, PlacedRow, Row } from "./source.ts";

/** How one set lies in a folder. */
export interface FolderLayout {
  /** By split, the files that may hold it; the first that is there is read. `*` stands for the configuration's name. */
  readonly files: Readonly<Record<string, readonly string[]>>;
  /** Those of the files that hold only some of their split's rows. */
  readonly partial?: readonly string[];
  readonly read: (path: string, name: string) => Promise<PlacedRow[]>;
}

/** The rows of a set in a folder, or undefined if the folder does not have them. */
export async function readFolder(
  folder: string,
  { folder: layout, name = "", split }: DatasetRef,
): Promise<{ rows: PlacedRow[]; path: string; complete: boolean } | undefined> {
  if (!layout) return undefined;
  for (const pattern of layout.files[split] ?? []) {
    const file = pattern.replaceAll("*", name);
    const path = join(folder, file);
    const complete = !layout.partial?.includes(file);
    if (await exists(path)) return { rows: await layout.read(path, name), path, complete };
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Reads JSON Lines; `toHub` gives a row the Hub's fields. */
export function jsonLines(toHub: (row: Row, index: number) => Row): FolderLayout["read"] {
  return async (path) => {
    const rows: PlacedRow[] = [];
    for await (const { row, place } of readJsonLines(path)) {
      rows.push({ row: atPlace(place, () => toHub(row, rows.length)), place });
    }
    return rows;
  };
}

/** Reads CSV without a header line; `toHub` makes a row of a record's fields. */
export function csvRecords(toHub: (fields: readonly string[], name: string) => Row): FolderLayout["read"] {
  return async (path, name) =>
    (await readCsv(path)).map(({ fields, place }) => ({ row: atPlace(place, () => toHub(fields, name)), place }));
}

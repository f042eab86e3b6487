/** The rows of a set, from the first source that has them: a folder, the Hub, the demo inside this package. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../base/package-root.ts";
import { PrunelabError } from "../errors.ts";
import { locateDataset } from "../hub/dataset-source.ts";
import { HubError } from "../hub/request.ts";
import { readFolder } from "./folder.ts";
import { readJsonLines } from "./jsonl.ts";
import { readParquet } from "./parquet.ts";
import type { DataSource, DatasetRef, PlacedRow } from "./source.ts";

export interface LoadRowsOptions {
  /** A folder with the benchmarks' original files, empty for none; by default the environment's PRUNELAB_DATA. */
  readonly folder?: string;
  /** Brings a split's parquet files into the cache; by default from the Hub. */
  readonly locate?: (
    path: string,
    name: string | undefined,
    split: string,
  ) => Promise<{ files: string[]; source: string }>;
}

/** No source has a set; none of those that were asked is broken. */
export class NoRowsError extends PrunelabError {}

/**
 * All rows of a split, with the fields that the Hub serves and their places for errors. The demo is taken only where no
 * folder was named, so that a number from it never stands in for one from the user's own data.
 *
 * @throws NoRowsError where no source has the rows.
 * @throws PrunelabError if a file is malformed, or could not be kept.
 */
export async function loadRows(
  ref: DatasetRef,
  { folder = process.env.PRUNELAB_DATA ?? "", locate = locateDataset }: LoadRowsOptions = {},
): Promise<{ rows: PlacedRow[]; source: DataSource }> {
  if (ref.files) {
    const path = ref.files[ref.split];
    if (path === undefined) throw new NoRowsError(`no file named for split ${ref.split} of ${nameOf(ref)}; name one`);
    const rows: PlacedRow[] = [];
    for await (const row of readJsonLines(path)) rows.push(row);
    return { rows, source: { kind: "folder", where: path, complete: true, passedOver: [] } };
  }
  const passedOver: string[] = [];
  if (folder) {
    if (!existsSync(folder))
      throw new PrunelabError(`no such folder: ${folder}; correct the option folder, or PRUNELAB_DATA`);
    const found = await readFolder(folder, ref);
    if (found)
      return { rows: found.rows, source: { kind: "folder", where: found.path, complete: found.complete, passedOver } };
    passedOver.push(`${folder} has no ${nameOf(ref)}`);
  }

  let located: { files: string[]; where: string } | undefined;
  try {
    const { files, source } = await locate(ref.path, ref.name, ref.split);
    located = { files, where: source };
  } catch (error) {
    // A full disk, a broken setting or a wrong checksum is told; the demo must not hide it.
    if (!(error instanceof HubError)) throw error;
    passedOver.push(error.message);
  }
  if (located) {
    const rows = (await Promise.all(located.files.map(readParquet))).flat();
    return { rows, source: { kind: "hub", where: located.where, complete: true, passedOver } };
  }

  const demo = folder ? undefined : await readFolder(join(packageRoot(), "data", "tasks"), ref);
  if (!demo)
    throw new NoRowsError(
      `no rows for ${nameOf(ref)}: ${passedOver.join("; ")}; set PRUNELAB_DATA to a folder that has them`,
    );
  return { rows: demo.rows, source: { kind: "demo", where: demo.path, complete: false, passedOver } };
}

function nameOf({ path, name, split }: DatasetRef): string {
  return `${path}${name ? ` ${name}` : ""} (${split})`;
}

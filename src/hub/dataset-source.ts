/** Stands in until the Hub's part is here: no data set can be had from it. */
import { PrunelabError } from "../errors.ts";

/** Brings the parquet files of a split into the cache. */
export async function locateDataset(
  path: string,
  _name: string | undefined,
  _split: string,
): Promise<{ files: string[]; source: string }> {
  throw new PrunelabError(`cannot reach the Hub for ${path}: not built yet`);
}

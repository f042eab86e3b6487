/** Reads parquet files, the Hub's own format, into rows. */
import { messageOf, PrunelabError } from "../errors.ts";
import type { PlacedRow } from "./source.ts";

/**
 * All rows of a parquet file. 64-bit integers become numbers, as in the Hub's own JSON.
 *
 * @throws PrunelabError if the file is truncated or no parquet file.
 */
export async function readParquet(path: string): Promise<PlacedRow[]> {
  // Loaded where there is such a file: most runs have none.
  const { asyncBufferFromFile, parquetReadObjects } = await import("hyparquet");
  const { compressors } = await import("hyparquet-compressors");
  try {
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path), compressors });
    return rows.map((row, index) => ({ row: plain(row) as Record<string, unknown>, place: `${path} row ${index}` }));
  } catch (error) {
    throw new PrunelabError(`cannot read parquet: ${path}: ${messageOf(error)}; download it again`, { cause: error });
  }
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

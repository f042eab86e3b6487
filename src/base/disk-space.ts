/** Says before a long write that the disk will not hold it. */
import { statfs } from "node:fs/promises";
import { PrunelabError } from "../errors.ts";
import { asWriteError, makeFolder } from "./atomic.ts";

/**
 * Makes the folder where it is missing.
 *
 * @param purpose What the space is for, e.g. `"google/gemma-3-270m"`.
 * @throws PrunelabError when the folder's file system has less than `bytes` left, or the folder cannot be made.
 */
export async function checkRoom(
  folder: string,
  bytes: number,
  purpose: string,
  advice = "free some or set PRUNELAB_CACHE",
): Promise<void> {
  try {
    makeFolder(folder);
  } catch (error) {
    throw asWriteError(error, folder);
  }
  const { bavail, bsize, blocks } = await statfs(folder);
  // Some network file systems do not say how much they hold.
  if (blocks > 0 && bytes > bavail * bsize)
    throw new PrunelabError(
      `not enough disk space for ${purpose}: needs ${megabytes(bytes)}, ${folder} has ${megabytes(bavail * bsize)}; ${advice}`,
    );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

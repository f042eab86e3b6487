/** How many threads native work may take. */
import { availableParallelism } from "node:os";
import { PrunelabError } from "../errors.ts";

/** PRUNELAB_THREADS, or one for each core; several workers on one machine share it out. @throws PrunelabError if it is not a count. */
export function threadCount(): number {
  const text = process.env.PRUNELAB_THREADS?.trim();
  if (!text) return availableParallelism();
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new PrunelabError(`not a number of threads: PRUNELAB_THREADS=${text}; give e.g. 2, or unset it`);
}

/** Whether two tensors of a file are the same bytes: an output head that is the embedding again. */
import type { ByteSource } from "./byte-source.ts";

/** Where bytes lie; `end` is exclusive. */
interface Place {
  readonly source: ByteSource;
  readonly start: number;
  readonly end: number;
}

const pieceBytes = 2 ** 22;

export async function isSameData(a: Place, b: Place): Promise<boolean> {
  if (a.end - a.start !== b.end - b.start) return false;
  for (let from = 0; from < a.end - a.start; from += pieceBytes) {
    const slice = ({ source, start, end }: Place) =>
      source.slice(start + from, Math.min(start + from + pieceBytes, end));
    const [own, other] = await Promise.all([slice(a), slice(b)]);
    if (Buffer.compare(own, other) !== 0) return false;
  }
  return true;
}

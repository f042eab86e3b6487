/** Reads byte ranges of a file or a buffer. */
import { type FileHandle, open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { asReadError } from "../base/read-error.ts";
import { PrunelabError } from "../errors.ts";

/** Bytes that are read by range. */
export interface ByteSource {
  /** What errors call it: the path of a file. */
  readonly name: string;
  readonly byteLength: number;
  /** Of a file: the state it was opened in, by name, inode, size and times. Equal stamps mean equal bytes. Undefined if it changed just now. */
  readonly stamp?: string;
  /** The bytes from `start` up to but not including `end`, in a buffer of their own. Many calls may run at once. */
  slice(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The same bytes in pieces of `size`, the last one perhaps shorter. All lie in one buffer: use each before asking for the next. */
  pieces(start: number, end: number, size: number): AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** Node refuses to read 2 GiB or more in one call. */
const largestRead = 2 ** 30;
/** Some file systems keep times to the second: within that a second write leaves no trace in them. */
const settledMs = 2000;

function checkRange(source: ByteSource, start: number, end: number): void {
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end)) {
    throw new RangeError(`invalid byte range of ${source.name}: ${start} to ${end}`);
  }
  if (end > source.byteLength) {
    throw new PrunelabError(
      `file is cut off: ${source.name}: needs ${formatBytes(end)}, has ${formatBytes(source.byteLength)}; download it again`,
    );
  }
}

/** `"1,234 bytes"`. */
export function formatBytes(count: number): string {
  return `${count.toLocaleString("en-US")} byte${count === 1 ? "" : "s"}`;
}

/** A source over bytes in memory. */
export function bufferSource(bytes: Uint8Array, name = "buffer"): ByteSource {
  const source: ByteSource = {
    name,
    byteLength: bytes.byteLength,
    async slice(start, end) {
      checkRange(source, start, end);
      return Uint8Array.from(bytes.subarray(start, end));
    },
    async *pieces(start, end, size) {
      checkRange(source, start, end);
      for (let from = start; from < end; from += size) yield source.slice(from, Math.min(from + size, end));
    },
  };
  return source;
}

/**
 * A source over a file. Each `slice` and each piece opens the file anew, so that nothing is left open and nobody has to close it; a
 * file that was replaced or changed since then is noticed.
 *
 * @param mostPerRead Bytes of one call to the system.
 * @throws PrunelabError when the file is missing, not a file, or not readable; `slice` and `pieces` also when the file has changed.
 */
export async function fileSource(path: string, mostPerRead: number = largestRead): Promise<ByteSource> {
  // stat before open: opening a named pipe would wait for a writer for ever.
  const first = await stat(path, { bigint: true }).catch((error) => {
    throw asReadError(error, path);
  });
  if (!first.isFile()) throw new PrunelabError(`cannot read ${path}: it is not a regular file; check the path`);
  const source: ByteSource = {
    name: path,
    byteLength: Number(first.size),
    ...(Date.now() - Number(first.ctimeMs) > settledMs && {
      stamp: [resolve(path), first.ino, first.size, first.mtimeNs, first.ctimeNs].join(" "),
    }),
    async slice(start, end) {
      checkRange(source, start, end);
      return fill(new Uint8Array(end - start), start);
    },
    async *pieces(start, end, size) {
      checkRange(source, start, end);
      const buffer = new Uint8Array(Math.min(size, end - start));
      for (let from = start; from < end; from += size) {
        yield fill(buffer.subarray(0, Math.min(size, end - from)), from);
      }
    },
  };
  return source;

  function fill(bytes: Uint8Array<ArrayBuffer>, start: number): Promise<Uint8Array<ArrayBuffer>> {
    return withFile(path, async (handle) => {
      const now = await handle.stat({ bigint: true });
      if (now.size !== first.size || now.mtimeNs !== first.mtimeNs || now.ino !== first.ino) {
        throw new PrunelabError(`file has changed since it was opened: ${path}; open it again`);
      }
      for (let done = 0; done < bytes.length; ) {
        const length = Math.min(bytes.length - done, mostPerRead);
        const { bytesRead } = await handle.read(bytes, done, length, start + done);
        if (bytesRead === 0) throw new PrunelabError(`file was cut off while it was read: ${path}; open it again`);
        done += bytesRead;
      }
      return bytes;
    });
  }
}

async function withFile<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    return await use(handle);
  } catch (error) {
    throw asReadError(error, path);
  } finally {
    await handle?.close();
  }
}

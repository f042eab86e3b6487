/** Downloads one file: goes on where an earlier try stopped, and trusts the file only when its checksum is right. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { asWriteError, makeFolder } from "../base/atomic.ts";
import { interruptedSignal, throwIfInterrupted } from "../base/interrupted.ts";
import { PrunelabError } from "../errors.ts";
import { HubError, networkMessage } from "./request.ts";

/** A checksum of a file's content: sha256, or git's name of it, the SHA-1 of `blob <size>\0` and the content. */
export interface Checksum {
  readonly kind: "sha256" | "git";
  /** Lower-case hex digits. */
  readonly value: string;
}

export interface DownloadOptions {
  /** `fetch` that throws if the answer is not a success. */
  readonly fetch: typeof fetch;
  readonly headers?: Record<string, string>;
  /** Gets the bytes there are by now, those of earlier tries included. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Between tries that got no further. */
  readonly retryWaitMs?: number;
  /** A connection that gives nothing for so long is given up. */
  readonly idleMs?: number;
}

/** Tries in a row that got no further; a connection that is cut but gave something does not count. */
const maxFruitlessTries = 4;
/** While there is nothing to lose, a host that cannot be reached is soon left for another source. */
const maxFruitlessTriesAtStart = 2;

/**
 * Downloads `url`, which is `size` bytes long, to `path`. Until it is whole and right it is `<path>.partial`, from which a later call, also
 * of a later process, goes on. Only one may do so at a time: the caller holds a lock.
 *
 * @throws HubError when nothing could be got; PrunelabError when the download was cut off for good, when the checksum does not match (the file
 *   is then removed), or when the disk is full.
 */
export async function downloadFile(
  url: string,
  path: string,
  size: number,
  checksum: Checksum,
  options: DownloadOptions,
): Promise<void> {
  const partial = `${path}.partial`;
  try {
    makeFolder(dirname(path));
    const isResumed = (await sizeOf(partial)) > 0;
    await receive(url, partial, size, options);
    let actual = await digest(partial, size, checksum.kind);
    if (actual !== checksum.value && isResumed) {
      // What lay there may be to blame: a crash of the machine can leave blocks of zeros behind.
      await rm(partial);
      await receive(url, partial, size, options);
      actual = await digest(partial, size, checksum.kind);
    }
    if (actual !== checksum.value) {
      await rm(partial);
      throw new PrunelabError(
        `wrong checksum of ${path}: it is ${actual}, the Hub says ${checksum.value}; the file was removed, run again to download it anew`,
      );
    }
    await rename(partial, path);
  } catch (error) {
    throw asWriteError(error, path);
  }
}

/** Appends to the partial file until it is `size` bytes long. */
async function receive(url: string, partial: string, size: number, options: DownloadOptions): Promise<void> {
  const { onBytes, retryWaitMs = 1_000 } = options;
  let fruitless = 0;
  for (;;) {
    throwIfInterrupted();
    let have = await sizeOf(partial);
    if (have > size) {
      await rm(partial);
      have = 0;
    }
    onBytes?.(have);
    if (have === size && size > 0) return;
    try {
      await receiveFrom(have, url, partial, size, options);
      if (size === 0) return;
    } catch (error) {
      if (!(error instanceof HubError) || error.failure === "denied" || error.failure === "missing") throw error;
      const kept = await sizeOf(partial);
      fruitless = kept > have ? 0 : fruitless + 1;
      const isHopeless = kept === 0 && error.failure === "unreachable";
      if (fruitless >= (isHopeless ? maxFruitlessTriesAtStart : maxFruitlessTries)) {
        if (kept === 0) throw error;
        // No HubError: with a part of the file there, to go on later is better than another source.
        throw new PrunelabError(`${error.message}; ${kept} of ${size} bytes are kept, run again to go on`, {
          cause: error,
        });
      }
      if (fruitless > 0) await sleep(retryWaitMs * 2 ** (fruitless - 1));
    }
  }
}

/** One request for the bytes from `have` on. */
async function receiveFrom(
  have: number,
  url: string,
  partial: string,
  size: number,
  { fetch, headers, onBytes, idleMs = 30_000 }: DownloadOptions,
): Promise<void> {
  const idle = new AbortController();
  const response = await fetch(url, {
    headers: { ...headers, ...(have > 0 ? { range: `bytes=${have}-` } : {}) },
    signal: AbortSignal.any([idle.signal, interruptedSignal() ?? idle.signal]),
  });
  // A server may ignore the range and send all.
  const start = response.status === 206 ? have : 0;
  const range = response.headers.get("content-range");
  if (response.status === 206 && !range?.startsWith(`bytes ${have}-`)) {
    idle.abort();
    throw new HubError("failed", `the Hub sent another range than asked for of ${url}: ${range}; try again later`);
  }
  const file = await open(partial, start > 0 ? "a" : "w");
  let received = start;
  const giveUp = () => idle.abort(new Error(`nothing came for ${idleMs / 1000} s`));
  let timer = setTimeout(giveUp, idleMs);
  try {
    for await (const chunk of readable(response, url)) {
      clearTimeout(timer);
      received += chunk.length;
      if (received > size)
        throw new PrunelabError(`the Hub sent more than the ${size} bytes it announced of ${url}; try again later`);
      await file.appendFile(chunk);
      onBytes?.(received);
      timer = setTimeout(giveUp, idleMs);
    }
    if (received < size)
      throw new HubError("failed", `the connection ended after ${received} of ${size} bytes of ${url}`);
    // On the disk before it gets its final name.
    await file.sync();
  } finally {
    clearTimeout(timer);
    await file.close();
  }
}

/** The body's chunks; failures of the network become HubErrors here, so that those of the disk stay apart. */
async function* readable(response: Response, url: string): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  try {
    for await (const chunk of response.body) yield chunk;
  } catch (error) {
    throw new HubError("failed", `the download of ${url} was cut off: ${networkMessage(error)}`, { cause: error });
  }
}

async function digest(path: string, size: number, kind: Checksum["kind"]): Promise<string> {
  const hash = createHash(kind === "git" ? "sha1" : "sha256");
  if (kind === "git") hash.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (stats) => stats.size,
    () => 0,
  );
}

/** The folder where downloads and other things that can be made again are kept, and what is in it. */
import { lstat, readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { asWriteError, writeFileAtomic } from "../base/atomic.ts";
import { cacheRoot } from "../base/cache-root.ts";
import { PrunelabError } from "../errors.ts";
import { lockHolder, withLock } from "./lock.ts";

/**
 * The cache's folders: models and data sets from their sources, tokenizers built from GGUF files, digests of large files, float32 weights of
 * models to run, blocks that calibrated pruning has done, a dense model's inputs' squares, states of training, what teachers said in it, answers to go on from,
 * the kernel's compiler as it is after its start.
 */
export const cacheKinds = [
  "models",
  "datasets",
  "tokenizers",
  "digests",
  "weights",
  "pruning",
  "squares",
  "training",
  "teachers",
  "answers",
  "kernel",
] as const;
export type CacheKind = (typeof cacheKinds)[number];

export interface CacheEntry {
  readonly kind: CacheKind;
  /** A Hub id for models and data sets (`google/gemma-3-270m`), else the label, or without one the file's or folder's name. */
  readonly name: string;
  /** Of the label; of answers, those of whose questions some are there. */
  readonly tasks: readonly string[];
  readonly path: string;
  readonly bytes: number;
  /** When a file of it was last written or read, as far as the file system keeps that. */
  readonly lastUsed: Date;
}

/** The cache, or its folder of one kind; not necessarily there yet. */
export function cacheFolder(kind?: CacheKind): string {
  return kind ? join(cacheRoot(), kind) : cacheRoot();
}

/** Where a repository's files are kept: `models/google--gemma-3-270m`, as a `/` cannot be in a folder's name. */
export function cachePath(kind: CacheKind, name: string): string {
  return join(cacheFolder(kind), name.replaceAll("/", "--"));
}

/** All entries of the cache, by kind and name. */
export async function cacheEntries(): Promise<CacheEntry[]> {
  const entries: CacheEntry[] = [];
  for (const kind of cacheKinds) {
    const folder = cacheFolder(kind);
    for (const file of (await namesIn(folder)).sort()) {
      if (/\.lock(\.takeover)?$/.test(file)) continue;
      const path = join(folder, file);
      const { bytes, lastUsedMs } = await measure(path);
      const isRepository = kind === "models" || kind === "datasets";
      const label = isRepository ? { name: file.replace("--", "/"), tasks: [] } : await readLabel(path);
      entries.push({ kind, name: file, tasks: [], ...label, path, bytes, lastUsed: new Date(lastUsedMs) });
    }
  }
  return entries;
}

/**
 * Says what an entry is of, where its name is a digest: the model's name, and tasks, which are added to those that it had.
 *
 * @throws PrunelabError when the cache cannot be written.
 */
export async function labelEntry(path: string, name: string, tasks: readonly string[] = []): Promise<void> {
  const before = await readLabel(path);
  const all = [...new Set([...(before?.tasks ?? []), ...tasks])].sort();
  const isKnown = before?.name === name && before.tasks.length === all.length;
  if (!isKnown) await writeFileAtomic(labelPath(path), JSON.stringify({ name, tasks: all }));
}

/** In a folder of their own, so that the kinds' folders hold entries alone. */
function labelPath(path: string): string {
  return join(cacheFolder(), "labels", basename(dirname(path)), `${basename(path)}.json`);
}

async function readLabel(path: string): Promise<Pick<CacheEntry, "name" | "tasks"> | undefined> {
  try {
    const { name, tasks } = JSON.parse(await readFile(labelPath(path), "utf8")) as Record<string, unknown>;
    const isLabel = typeof name === "string" && Array.isArray(tasks) && tasks.every((task) => typeof task === "string");
    return isLabel ? { name, tasks } : undefined;
  } catch {
    // A label is optional; without one the entry goes by its own name.
    return undefined;
  }
}

/**
 * Removes entries, all of them unless `filter` chooses, and returns those removed.
 *
 * @throws PrunelabError when another process is working on one of them; then none is removed.
 */
export async function clearCache(filter: (entry: CacheEntry) => boolean = () => true): Promise<CacheEntry[]> {
  const entries = (await cacheEntries()).filter(filter);
  const refuse = (path: string, pid: number) => {
    throw new PrunelabError(`cannot clear ${path}: process ${pid} is using it; wait until it has finished or stop it`);
  };
  for (const { path } of entries) {
    const holder = await lockHolder(path);
    if (holder) refuse(path, holder.pid);
  }
  for (const { path } of entries) {
    const remove = async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
      await rm(labelPath(path), { force: true });
    };
    await withLock(path, remove, { onWait: ({ pid }) => refuse(path, pid) }).catch((error: unknown) => {
      throw asWriteError(error, path);
    });
  }
  return entries;
}

/** Files come and go while another process works; what has gone counts as nothing. */
async function measure(path: string): Promise<{ bytes: number; lastUsedMs: number }> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return { bytes: 0, lastUsedMs: 0 };
  // A folder's own times change when it is listed, as here.
  if (!stats.isDirectory()) return { bytes: stats.size, lastUsedMs: Math.max(stats.mtimeMs, stats.atimeMs) };
  let bytes = 0;
  let lastUsedMs = 0;
  for (const name of await namesIn(path)) {
    const inner = await measure(join(path, name));
    bytes += inner.bytes;
    lastUsedMs = Math.max(lastUsedMs, inner.lastUsedMs);
  }
  return { bytes, lastUsedMs: lastUsedMs || stats.mtimeMs };
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return [];
    throw new PrunelabError(
      `cannot read the cache: ${folder}: ${code === "ENOTDIR" ? "it is a file, not a folder" : (error as Error).message}; set PRUNELAB_CACHE to another folder`,
      { cause: error },
    );
  }
}

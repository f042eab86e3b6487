/** What is made once and then kept in the cache, under a digest of what decides it. */
import { createHash } from "node:crypto";
import { readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { prepareFolder, writeFileAtomic } from "../base/atomic.ts";
import { readJson } from "../base/json.ts";
import { cacheFolder, labelEntry } from "./cache-folder.ts";
import { lockHolder, withLock } from "./lock.ts";

/** `version` is our code's, to be raised when it makes something else of the same key; `kept` is how many entries stay, those used last. */
const kinds = {
  tokenizers: { version: 2, kept: 16 },
  digests: { version: 1, kept: 256 },
  // A dense model and a pruned one beside it; each takes four bytes a weight, 1.07 GB for Gemma 3 270M.
  weights: { version: 1, kept: 2 },
  // Pruned linear layers, 200 MB each for Gemma 3 270M.
  pruning: { version: 6, kept: 6 },
  squares: { version: 1, kept: 32 },
  // Of one teacher, 2.6 kB a scored position for Gemma 3 270M.
  teachers: { version: 1, kept: 2 },
} as const;
type Kind = keyof typeof kinds;

/** What a JSON value is made from, for the parts that do not know the cache. */
export interface Recipe<T> {
  /** Equal keys of a kind mean equal values. */
  readonly key: readonly unknown[];
  readonly make: () => Promise<T>;
  /** Whether what was kept is one; what is not is made anew. */
  readonly isWhole: (value: unknown) => value is T;
}

/**
 * The value of a key: from the cache, or made and kept there.
 *
 * @param name What `prunelab cache` calls it: the model's name.
 * @throws PrunelabError when the cache cannot be written.
 */
export async function cachedJson<T>(kind: Kind, name: string, { key, make, isWhole }: Recipe<T>): Promise<T> {
  const path = `${entryPath(kind, key)}.json`;
  const kept: unknown = await readJson(path).catch(() => undefined);
  if (isWhole(kept)) {
    await touch(path);
    return kept;
  }
  const value = await make();
  await writeFileAtomic(path, JSON.stringify(value));
  await keepLatest(kind, path, name);
  return value;
}

/**
 * Runs `work` on the folder of a key while no other process does. `work` finds there what earlier runs left, also those that were stopped.
 *
 * @param name What `prunelab cache` calls it: the model's name.
 * @throws PrunelabError when the cache cannot be written.
 */
export async function cachedFolder<T>(
  kind: Kind,
  name: string,
  key: readonly unknown[],
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = entryPath(kind, key);
  return await withLock(folder, async () => {
    const result = await work(folder);
    await touch(folder);
    await keepLatest(kind, folder, name);
    return result;
  });
}

/**
 * The folder of a key, for files that are each whole or not there, so that processes share it without waiting.
 *
 * @param name What `prunelab cache` calls it: the model's name.
 * @throws PrunelabError when the cache cannot be written.
 */
export async function sharedFolder(kind: Kind, name: string, key: readonly unknown[]): Promise<string> {
  const folder = entryPath(kind, key);
  await prepareFolder(folder);
  await touch(folder);
  await keepLatest(kind, folder, name);
  return folder;
}

function entryPath(kind: Kind, key: readonly unknown[]): string {
  const text = JSON.stringify([kinds[kind].version, ...key]);
  return join(cacheFolder(kind), createHash("sha256").update(text).digest("hex").slice(0, 32));
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  // It may be another's, or gone since; its age is only a hint.
  await utimes(path, now, now).catch(() => {});
}

/** Labels an entry and removes the others of its kind that were used longest ago, beyond the number that is kept. */
async function keepLatest(kind: Kind, path: string, name: string): Promise<void> {
  await labelEntry(path, name);
  const names = (await readdir(cacheFolder(kind))).filter((name) => !/\.lock(\.takeover)?$/.test(name));
  const entries = await Promise.all(
    names.map(async (name) => {
      const path = join(cacheFolder(kind), name);
      return { path, used: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 };
    }),
  );
  entries.sort((a, b) => b.used - a.used);
  // A session that has a file mapped keeps it until it is released, also after its name is gone; what another process writes at this moment stays.
  for (const { path } of entries.slice(kinds[kind].kept)) {
    if (!(await lockHolder(path))) await rm(path, { recursive: true, force: true });
  }
}

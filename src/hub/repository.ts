/** A Hub repository, and its place in the cache. */
import { join } from "node:path";
import { PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { cachePath } from "./cache-folder.ts";
import { type LockHolder, withLock } from "./lock.ts";
import { HubError } from "./request.ts";
import { hubIsOffline } from "./settings.ts";

export interface HubRepo {
  readonly type: "model" | "dataset";
  /** Hub id, e.g. `"google/gemma-3-270m"`. */
  readonly name: string;
  /** Branch, tag or commit; `"main"` unless given. */
  readonly revision: string;
}

export interface HubOptions {
  readonly onProgress?: OnProgress | undefined;
  /** Gets lines for the user: the cache stands in for the Hub, another process is waited for. */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** Asks without the user's token, for repositories that are open to all: a token that has expired is refused even there. */
  readonly isAnonymous?: boolean;
  /** Takes only what is in the cache, as if HF_HUB_OFFLINE were set. */
  readonly isCacheOnly?: boolean;
}

/** @throws PrunelabError when the name is none that the Hub allows; it becomes a folder's name. */
export function hubRepo(type: HubRepo["type"], name: string, revision?: string): HubRepo {
  // https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/utils/_validators.py
  if (!/^[\w.-]+(\/[\w.-]+)?$/.test(name) || /\.\.|--/.test(name))
    throw new PrunelabError(`not a ${type === "dataset" ? "data set" : "model"}'s id on the Hub (owner/name): ${name}`);
  return { type, name, revision: revision || "main" };
}

/** The cache's folder of a repository: a folder per commit in it, and `refs`, which says what a branch held when the Hub was asked. */
export function repositoryFolder({ type, name }: HubRepo): string {
  return cachePath(type === "dataset" ? "datasets" : "models", name);
}

/** Where a repository's page on the Hub is, without the Hub's address. */
export function hubPath({ type, name }: HubRepo): string {
  return type === "dataset" ? `datasets/${name}` : name;
}

/** Where the list of a revision's files is kept. */
export function refPath(repo: HubRepo): string {
  return join(repositoryFolder(repo), "refs", `${encodeURIComponent(repo.revision)}.json`);
}

/** Runs `work` while no other process works on this repository in the cache. */
export function lockRepository<T>(repo: HubRepo, { onNotice }: HubOptions, work: () => Promise<T>): Promise<T> {
  const onWait = ({ pid }: LockHolder) => {
    if (pid !== process.pid) onNotice?.(`waiting for process ${pid}, which is getting ${repo.name}`);
  };
  return withLock(repositoryFolder(repo), work, { onWait });
}

export function notCached({ name }: HubRepo): HubError {
  return new HubError("offline", `${hubIsOffline() ? "HF_HUB_OFFLINE is set and " : ""}${name} is not in the cache`);
}

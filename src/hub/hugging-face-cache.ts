/** Hugging Face's own cache, which Python's libraries fill: it is read before anything is downloaded, and never written. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { HubRepo } from "./repository.ts";
import { huggingFaceHub, wantsRefresh } from "./settings.ts";

/** A commit of a repository, as far as it was downloaded. */
export interface CachedCommit {
  readonly commit: string;
  /** The folder of its files, which are links to the contents. */
  readonly folder: string;
  /** In the repository, with `/`. A file is there only when it is whole. */
  readonly paths: readonly string[];
}

/**
 * Finds the commit that a repository's revision stood for when it was last downloaded, in the folder of HF_HUB_CACHE, else `hub` in HF_HOME, else
 * `~/.cache/huggingface/hub`. Undefined where there is none, and under PRUNELAB_REFRESH. Only some of the repository's files may be there.
 */
export async function findInHuggingFaceCache({ type, name, revision }: HubRepo): Promise<CachedCommit | undefined> {
  if (wantsRefresh()) return undefined;
  // huggingface_hub/file_download.py: models--owner--name/{refs/main, snapshots/<commit>/…, blobs}
  const repository = join(huggingFaceHub().getHFHubCachePath(), `${type}s--${name.replaceAll("/", "--")}`);
  const ref = await readFile(join(repository, "refs", ...revision.split("/")), "utf8").catch(() => revision);
  const commit = ref.trim();
  if (!/^[0-9a-f]{40}$/.test(commit)) return undefined;
  const folder = join(repository, "snapshots", commit);
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const paths: string[] = [];
  for (const path of names) {
    // A link whose content was removed is not there.
    if ((await stat(join(folder, path)).catch(() => undefined))?.isFile()) paths.push(path.split(sep).join("/"));
  }
  return paths.length > 0 ? { commit, folder, paths } : undefined;
}

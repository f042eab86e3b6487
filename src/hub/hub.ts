/** Brings files of a Hub repository into the cache. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { checkRoom } from "../base/disk-space.ts";
import { PrunelabError } from "../errors.ts";
import { downloadFile } from "./download.ts";
import { type HubOptions, hubPath, lockRepository, notCached, repositoryFolder } from "./repository.ts";
import { hubFetch } from "./request.ts";
import { hubEndpoint, hubIsOffline, hubToken } from "./settings.ts";
import type { HubFile, Snapshot } from "./snapshot.ts";

/**
 * Downloads files of a snapshot, those that are not in the cache yet, and gives their local paths in order.
 *
 * @param paths In the repository, with `/`.
 * @throws PrunelabError as {@link downloadFile} does, when a file is not in the repository, or when the disk has too little space; HubError
 *   when the Hub cannot be reached, is not to be asked, or refuses.
 */
export async function fetchFiles(
  snapshot: Snapshot,
  paths: readonly string[],
  options: HubOptions = {},
): Promise<string[]> {
  const { repo } = snapshot;
  const files = paths.map((path) => findFile(snapshot, path));
  const missing = await missingOf(snapshot, files);
  if (missing.length > 0) {
    if (hubIsOffline() || options.isCacheOnly) throw notCached(repo);
    await lockRepository(repo, options, async () => {
      // Another process may have got them while this one waited.
      const stillMissing = await missingOf(snapshot, files);
      await checkRoom(repositoryFolder(repo), await bytesOf(snapshot, stillMissing), repo.name);
      for (const file of stillMissing) await fetchFile(snapshot, file, options);
    });
  }
  return files.map((file) => localPath(snapshot, file));
}

/** The folder that holds the files of a snapshot. */
export function snapshotFolder({ repo, commit }: Snapshot): string {
  return join(repositoryFolder(repo), commit);
}

async function fetchFile(snapshot: Snapshot, file: HubFile, { onProgress, isAnonymous }: HubOptions): Promise<void> {
  const { repo, commit } = snapshot;
  const token = isAnonymous ? undefined : await hubToken();
  const path = file.path.split("/").map(encodeURIComponent).join("/");
  // @huggingface/hub's own download neither goes on after a cut nor checks what it got, so the bytes come from its address directly.
  const url = `${hubEndpoint()}/${hubPath(repo)}/resolve/${commit}/${path}`;
  await downloadFile(url, localPath(snapshot, file), file.size, file.checksum, {
    fetch: hubFetch(repo),
    ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
    onBytes: (done) => onProgress?.({ step: `download ${file.path}`, done, total: file.size, unit: "bytes" }),
  });
}

/** A file gets its final name only when it is whole and checked; a size that differs is of one that was changed since. */
async function missingOf(snapshot: Snapshot, files: readonly HubFile[]): Promise<HubFile[]> {
  const sizes = await Promise.all(files.map((file) => sizeOf(localPath(snapshot, file))));
  return files.filter((file, index) => sizes[index] !== file.size);
}

/** Those still to come: what an earlier try left does not count. */
async function bytesOf(snapshot: Snapshot, files: readonly HubFile[]): Promise<number> {
  let bytes = 0;
  for (const file of files) bytes += file.size - ((await sizeOf(`${localPath(snapshot, file)}.partial`)) ?? 0);
  return bytes;
}

function findFile({ repo, files, commit }: Snapshot, path: string): HubFile {
  // Names come from the repository and become paths here.
  if (!path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\0]/.test(part)))
    throw new PrunelabError(`unsafe file name in ${repo.name}: ${JSON.stringify(path)}; tell the repository's owner`);
  const file = files.find((candidate) => candidate.path === path);
  if (!file) throw new PrunelabError(`no such file in ${repo.name} at commit ${commit.slice(0, 7)}: ${path}`);
  return file;
}

function localPath(snapshot: Snapshot, { path }: HubFile): string {
  return join(snapshotFolder(snapshot), ...path.split("/"));
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (stats) => stats.size,
    () => undefined,
  );
}

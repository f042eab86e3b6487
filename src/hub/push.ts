/** Pushes a folder to a repository on the Hub, as one commit. */
import { readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { asReadError } from "../base/read-error.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { listener, type OnProgress } from "../progress.ts";
import { hide, type PushSubject, pushFetch } from "./push-request.ts";
import { hubPath, hubRepo } from "./repository.ts";
import { HubError } from "./request.ts";
import { hubEndpoint, hubIsOffline, hubToken, huggingFaceHub } from "./settings.ts";

/** A file to push. */
export interface PushFile {
  /** In the repository, with `/`. */
  readonly path: string;
  /** On the disk. */
  readonly local: string;
  readonly bytes: number;
}

export interface PushOptions {
  /** Whether everybody may see a repository that is made; one that is there already stays as it is. Default false. */
  readonly isPublic?: boolean;
  /** The commit's subject; default `"Upload with Prunelab"`. */
  readonly title?: string;
  /** Asked before anything is sent; false stops. */
  readonly confirm?: (plan: PushPlan) => boolean | Promise<boolean>;
  /** Before what failed and may pass is tried a second time; a third try waits twice as long. Default 1000. */
  readonly retryWaitMs?: number;
  readonly onProgress?: OnProgress;
}

/** What a push is going to do. */
export interface PushPlan {
  /** The repository's page. */
  readonly url: string;
  readonly isPublic: boolean;
  readonly files: readonly PushFile[];
  readonly bytes: number;
}

export interface Pushed extends PushPlan {
  /** The commit's id. */
  readonly commit: string;
  /** In a line. */
  readonly summary: string;
}

/** What is never a part of a model: hidden files but those of the Hub, what is half written, the state of a training. */
const leftOut = (path: string) =>
  path.split("/").some((part) => part.startsWith(".") && part !== ".eval_results" && part !== ".gitattributes") ||
  /\.(tmp|partial)$/.test(path) ||
  path.startsWith("training/");

/**
 * Pushes a model's folder to the Hub: makes the repository where it is missing, private unless `isPublic`, sends the files, and commits them all at
 * once. After a failure the repository is as it was; a second push does not send again what had arrived, file by file.
 *
 * The token is that of HF_TOKEN or of the file that `hf auth login` writes, and needs write access.
 *
 * @param folder With `config.json` or a `.gguf` file. Hidden files and a training's state are left out.
 * @param name On the Hub, `"owner/name"`.
 * @throws PrunelabError if there is no model in the folder, no token, or the name is none; HubError if the Hub cannot be reached or refuses, or the
 *   repository is public and `isPublic` is not set.
 */
export async function pushModel(folder: string, name: string, options: PushOptions = {}): Promise<Pushed> {
  const files = (await filesOf(folder)).filter(({ path }) => !leftOut(path));
  if (!files.some(({ path }) => path === "config.json" || path.endsWith(".gguf")))
    throw new PrunelabError(
      `no model to push in ${folder}: neither config.json nor a .gguf file; name the folder that prunelab export wrote`,
    );
  return await push("model", name, files, options);
}

/**
 * Pushes results and samples (`results_*.json`, `samples_*.jsonl`, `report.md`) to a data set of the Hub, with a card by which its viewer shows each
 * task's samples; otherwise as {@link pushModel}.
 *
 * @throws PrunelabError if there are no results in the folder, and as `pushModel`.
 */
export async function pushResults(folder: string, name: string, options: PushOptions = {}): Promise<Pushed> {
  const files = (await filesOf(folder)).filter(({ path }) =>
    /(^|\/)(results_[^/]*\.json|samples_[^/]*\.jsonl|report\.md)$/.test(path),
  );
  if (!files.some(({ path }) => path.endsWith(".json")))
    throw new PrunelabError(
      `no results to push in ${folder}: no results_*.json; name the folder of prunelab evaluate --output`,
    );
  return await push("dataset", name, files, options, { "README.md": resultsCard(files) });
}

/** A data set's card: a configuration for each task, of its newest samples by model. */
function resultsCard(files: readonly PushFile[]): string {
  const tasks = new Map<string, string[]>();
  for (const { path } of files) {
    const task = /(?:^|\/)samples_(.+)_\d{4}-\d\d-\d\dT[^/]*\.jsonl$/.exec(path)?.[1];
    if (task !== undefined) tasks.set(task, [...(tasks.get(task) ?? []), path]);
  }
  // JSON is YAML; names may hold anything.
  const configs = [...tasks].map(([task, paths]) => ({ config_name: task, data_files: paths }));
  const head = { tags: ["prunelab", "lm-evaluation-harness"], ...(configs.length > 0 && { configs }) };
  const lines = Object.entries(head).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return `---\n${lines.join("\n")}\n---\n\n# Results\n\nScores (\`results_*.json\`) and every document with its answers (\`samples_*.jsonl\`), in lm-evaluation-harness's files, written by Prunelab.\n`;
}

/** All files of a folder, however deep; links to files count, links to folders do not. */
async function filesOf(folder: string): Promise<PushFile[]> {
  try {
    const names = (await readdir(folder, { recursive: true })).sort();
    const found = await Promise.all(
      names.map(async (name) => {
        const local = join(folder, name);
        const stats = await stat(local).catch((error: unknown) => {
          throw asReadError(error, local);
        });
        return stats.isFile() ? [{ path: name.split(sep).join("/"), local, bytes: stats.size }] : [];
      }),
    );
    return found.flat();
  } catch (error) {
    throw asReadError(error, folder);
  }
}

/** Throws what can be said before any work: a name that is none, no token, the Hub not to be asked. */
export async function checkPush(name: string): Promise<string> {
  if (!/^[^/]+\/[^/]+$/.test(hubRepo("model", name).name))
    throw new PrunelabError(`no owner in the repository's name: ${name}; push to owner/name`);
  if (hubIsOffline()) throw new HubError("offline", `HF_HUB_OFFLINE is set, so ${name} is not pushed; unset it`);
  const token = await hubToken();
  if (token === undefined)
    throw new PrunelabError(
      `no token to push ${name} with; set HF_TOKEN to one with write access, or log in with hf auth login`,
    );
  return token;
}

async function push(
  type: "model" | "dataset",
  name: string,
  files: readonly PushFile[],
  { isPublic = false, title = "Upload with Prunelab", confirm, retryWaitMs = 1_000, onProgress: given }: PushOptions,
  texts: Readonly<Record<string, string>> = {},
): Promise<Pushed> {
  const token = await checkPush(name);
  const onProgress = listener(given);
  const url = `${hubEndpoint()}/${hubPath(hubRepo(type, name))}`;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const plan: PushPlan = { url, isPublic, files, bytes };
  if (confirm && !(await confirm(plan))) throw new PrunelabError(`not pushed, as you said: ${url}`);
  const sent = sentBytes(files, (done) => onProgress?.({ step: `push to ${name}`, done, total: bytes, unit: "bytes" }));
  const subject: PushSubject = { name, token, retryWaitMs, onSent: sent.part };
  const repo = { type, name };
  const access = { hubUrl: hubEndpoint(), accessToken: token };
  const { commitIter } = huggingFaceHub();
  try {
    await makeRepository(repo, isPublic, subject, access);
    const steps = commitIter({
      ...{ repo, title, ...access, fetch: pushFetch(subject) },
      // Xet's own client goes around `fetch`, and so around the time limits and the progress.
      useXet: false,
      operations: [
        ...files.map(({ path, local }) => ({ operation: "addOrUpdate" as const, path, content: pathToFileURL(local) })),
        ...Object.entries(texts).map(([path, text]) => ({
          ...{ operation: "addOrUpdate" as const, path, content: new Blob([text]) },
        })),
      ],
    });
    let step = await steps.next();
    for (; !step.done; step = await steps.next()) {
      const { value } = step;
      if (value.event === "fileProgress" && value.state === "uploading" && value.progress === 1) sent.whole(value.path);
    }
    onProgress?.({ step: `push to ${name}`, done: bytes, total: bytes, unit: "bytes" });
    const commit = step.value?.commit.oid ?? "";
    const summary = `${files.length} file${files.length === 1 ? "" : "s"}, ${(bytes / 1e6).toFixed(1)} MB, pushed to ${url}${isPublic ? "" : ", private"}, commit ${commit.slice(0, 7)}`;
    return { ...plan, commit, summary };
  } catch (error) {
    if (error instanceof PrunelabError) throw error;
    throw new HubError("failed", `cannot push to ${name}: ${hide(messageOf(error), subject)}; push again`);
  }
}

/** Makes the repository; one that is there is taken if it is no more public than asked for. */
async function makeRepository(
  repo: { readonly type: "model" | "dataset"; readonly name: string },
  isPublic: boolean,
  subject: PushSubject,
  access: { readonly hubUrl: string; readonly accessToken: string },
): Promise<void> {
  const { createRepo, datasetInfo, modelInfo } = huggingFaceHub();
  let isThere = false;
  const watched = pushFetch({ ...subject, accepts: [409] });
  await createRepo({
    ...{ repo, ...access, visibility: isPublic ? "public" : "private" },
    fetch: async (input, init) => {
      const response = await watched(input, init);
      isThere = response.status === 409;
      // The library takes 409 for a failure.
      return isThere ? Response.json({ url: "", id: "" }) : response;
    },
  });
  if (!isThere || isPublic) return;
  const about = { name: repo.name, revision: "main", ...access, fetch: pushFetch(subject) };
  const { private: isPrivate } = await (repo.type === "model" ? modelInfo(about) : datasetInfo(about));
  if (!isPrivate)
    throw new HubError(
      "denied",
      `${repo.name} is there already, and public; push with --public (isPublic: true), make it private, or take another name`,
    );
}

/** Adds up what has gone, file by file: parts of a file, or the whole of it where the Hub had it. */
function sentBytes(files: readonly PushFile[], onTotal: (bytes: number) => void) {
  const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
  const parts = new Map<string, Map<number, number>>();
  const tell = () => {
    let total = 0;
    for (const [path, sent] of parts) {
      const bytes = [...sent.values()].reduce((sum, part) => sum + part, 0);
      total += Math.min(bytes, sizes.get(path) ?? 0);
    }
    onTotal(total);
  };
  return {
    part: (path: string, part: number, bytes: number) => {
      parts.set(path, (parts.get(path) ?? new Map()).set(part, bytes));
      tell();
    },
    whole: (path: string) => {
      parts.set(path, new Map([[0, sizes.get(path) ?? 0]]));
      tell();
    },
  };
}

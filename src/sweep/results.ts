/** What is known of a sweep's units, from the files in its folder: results, failures and who is at work. */
import { readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import { asReadError } from "../base/read-error.ts";
import type { ScoreRow } from "../evaluate/score-rows.ts";
import { isDead } from "../hub/lock.ts";
import { sweepSchema, type Unit } from "./plan.ts";

/** `results/<id>.json`: there and valid means that the unit is done. */
export interface UnitResult {
  readonly schema: number;
  readonly id: string;
  readonly unit: Unit;
  readonly rows: readonly ScoreRow[];
  /** Digest of the weights that were scored. */
  readonly digest: string;
  /** Share of zeros in the pruned layers. */
  readonly sparsity: number;
  /** lm-eval's files, relative to the sweep's folder; null where no task was scored. */
  readonly files: { readonly results: string; readonly samples: Readonly<Record<string, string>> } | null;
  /** By form, relative to the sweep's folder. */
  readonly exports: Readonly<Record<string, string>>;
  readonly host: Readonly<Record<"name" | "processor" | "node" | "prunelab" | "onnxruntime", string>> & {
    readonly threads: number;
  };
  readonly startedAt: string;
  /** Wall time, in seconds. */
  readonly seconds: Readonly<Record<"prune" | "recover" | "export" | "score" | "total", number>>;
}

/** `results/<id>.failed.json`: how the last try of a unit ended. */
export interface UnitFailure {
  readonly schema: number;
  readonly id: string;
  readonly message: string;
  /** False: never again, the plan or the machine has to change first. */
  readonly canRetry: boolean;
  readonly host: string;
  readonly failedAt: string;
}

/** A running unit renews its mark this often, in ms. */
const HEARTBEAT_MS = 20_000;
/** A mark this old, in ms, is a dead worker's: network file systems may show times a minute late. */
const STALE_MS = 180_000;

export const resultPath = (folder: string, id: string): string => join(folder, "results", `${id}.json`);
const failurePath = (folder: string, id: string): string => join(folder, "results", `${id}.failed.json`);
const runningPath = (folder: string, id: string): string => join(folder, "results", `${id}.running.json`);

/** The unit's result; a sentence where its file is there and is none; undefined where it is not there. */
export async function readResult(folder: string, id: string): Promise<UnitResult | string | undefined> {
  const path = resultPath(folder, id);
  const text = await readOptional(path);
  if (text === undefined) return undefined;
  try {
    const result = JSON.parse(text) as UnitResult;
    if (result.schema !== sweepSchema) return `result of another version: ${path}: schema ${result.schema}`;
    if (result.id === id && result.unit?.id === id && Array.isArray(result.rows)) return result;
  } catch {
    // Cut off or overwritten: the same sentence.
  }
  return `damaged result: ${path}`;
}

/** Writes the result whole, and takes away what said that the unit failed. */
export async function writeResult(folder: string, result: UnitResult): Promise<void> {
  await writeFileAtomic(resultPath(folder, result.id), `${JSON.stringify(result, null, 1)}\n`);
  await rm(failurePath(folder, result.id), { force: true });
}

export async function writeFailure(folder: string, id: string, message: string, canRetry: boolean): Promise<void> {
  const failure: UnitFailure = {
    ...{ schema: sweepSchema, id, message, canRetry },
    ...{ host: hostname(), failedAt: new Date().toISOString() },
  };
  await writeFileAtomic(failurePath(folder, id), `${JSON.stringify(failure, null, 1)}\n`);
}

/** Marks the unit as running while `work` goes on. */
export async function whileMarked<T>(folder: string, id: string, work: () => Promise<T>): Promise<T> {
  const path = runningPath(folder, id);
  await writeFileAtomic(path, JSON.stringify({ host: hostname(), pid: process.pid, since: new Date().toISOString() }));
  const renew = () => void utimes(path, new Date(), new Date()).catch(() => {});
  const timer = setInterval(renew, HEARTBEAT_MS).unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await rm(path, { force: true }).catch(() => {});
  }
}

/** How far a sweep is. */
export interface SweepStatus {
  readonly total: number;
  readonly done: readonly Unit[];
  readonly running: readonly { readonly unit: Unit; readonly host: string; readonly since: string }[];
  /** Neither done nor running, and the last try failed. */
  readonly failed: readonly { readonly unit: Unit; readonly message: string; readonly canRetry: boolean }[];
  readonly missing: readonly Unit[];
  /** Files that are no results: these units are missing. */
  readonly damaged: readonly string[];
}

/** Files that are read at the same time: a shared folder answers late, and memory stays flat. */
const PARALLEL = 32;

/**
 * Reads the folder once, whichever engine ran the units.
 *
 * @param onResult Called with each result, in the plan's order up to its first `await`.
 * @throws PrunelabError if it cannot be read.
 */
export async function sweepStatus(
  units: readonly Unit[],
  folder: string,
  onResult?: (unit: Unit, result: UnitResult) => void | Promise<void>,
): Promise<SweepStatus> {
  const present = new Set(await listResults(folder));
  const status = { done: [] as Unit[], missing: [] as Unit[], damaged: [] as string[] };
  const running: SweepStatus["running"][number][] = [];
  const failed: SweepStatus["failed"][number][] = [];
  const stateOf = async ({ id }: Unit) => {
    const result = present.has(`${id}.json`) ? await readResult(folder, id) : undefined;
    if (typeof result === "object") return { result };
    const mark = present.has(`${id}.running.json`) ? await readMark(folder, id) : undefined;
    const failure = present.has(`${id}.failed.json`) ? await readFailure(folder, id) : undefined;
    return { damaged: result, mark, failure };
  };
  for (let from = 0; from < units.length; from += PARALLEL) {
    const part = units.slice(from, from + PARALLEL);
    const states = await Promise.all(part.map(stateOf));
    const work = states.map(({ result, damaged, mark, failure }, index) => {
      const unit = part[index]!;
      if (damaged !== undefined) status.damaged.push(damaged);
      if (result) status.done.push(unit);
      else if (mark) running.push({ unit, ...mark });
      else if (failure) failed.push({ unit, message: failure.message, canRetry: failure.canRetry });
      else status.missing.push(unit);
      return result && onResult?.(unit, result);
    });
    await Promise.all(work);
  }
  return { total: units.length, ...status, running, failed };
}

/** Names of the files in `results/`; none where the folder is not there yet. */
export async function listResults(folder: string): Promise<string[]> {
  const path = join(folder, "results");
  return await readdir(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw asReadError(error, path);
  });
}

async function readMark(folder: string, id: string): Promise<{ host: string; since: string } | undefined> {
  const path = runningPath(folder, id);
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Number.POSITIVE_INFINITY,
  );
  if (age > STALE_MS) return undefined;
  const mark = parseOr<{ host?: string; pid?: number; since?: string }>(await readOptional(path), {});
  const { host = "unknown", pid = 0, since = "" } = mark;
  if (isDead({ host, pid })) return undefined;
  return { host, since };
}

async function readFailure(folder: string, id: string): Promise<UnitFailure | undefined> {
  return parseOr<UnitFailure | undefined>(await readOptional(failurePath(folder, id)), undefined);
}

function parseOr<T>(text: string | undefined, otherwise: T): T {
  try {
    return text === undefined ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code!)) return undefined;
    throw asReadError(error, path);
  });
}

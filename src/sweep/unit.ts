/** Does one unit: opens the model, prunes, recovers, exports and scores it, and writes the result. */
import { rename, rm } from "node:fs/promises";
import { cpus, hostname } from "node:os";
import { join } from "node:path";
import { prepareFolder, writeFileAtomic } from "../base/atomic.ts";
import { packageVersion } from "../base/package-root.ts";
import { threadCount } from "../base/threads.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { evaluate } from "../evaluate/evaluate.ts";
import type { Evaluation } from "../evaluate/evaluation.ts";
import { wikitextPerplexity } from "../evaluate/perplexity.ts";
import { writeResults } from "../evaluate/results.ts";
import { type ScoreRow, scoreRows } from "../evaluate/score-rows.ts";
import { exportModel } from "../export/export-model.ts";
import { openCheckpoint } from "../hub/open-checkpoint.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { loadLanguageModel } from "../model/load.ts";
import type { OnProgress } from "../progress.ts";
import type { PruneOptions } from "../prune/options.ts";
import { prune } from "../prune/prune.ts";
import { sparsityReport } from "../prune/sparsity.ts";
import type { RecoverOptions } from "../train/recover.ts";
import { fileDigest, sweepSchema, type Unit } from "./plan.ts";
import { readResult, type UnitResult, whileMarked, writeFailure, writeResult } from "./results.ts";

export interface RunUnitOptions {
  readonly onProgress?: OnProgress;
  readonly onNotice?: (line: string) => void;
  /** Stops between batches; the unit is then as if never begun, but for what the cache kept. */
  readonly signal?: AbortSignal;
  /** Opens a model; by default `openCheckpoint`. A run of many units keeps those it opened. */
  readonly open?: (model: string) => Promise<Checkpoint>;
}

/**
 * Does one unit, unless its result is there already. Safe to call twice and at the same time on several machines: all write the same result.
 *
 * @returns The result, and whether it was there.
 * @throws PrunelabError if the unit cannot be done; the failure is then on file too, for `status`.
 */
export async function runUnit(
  unit: Unit,
  folder: string,
  options: RunUnitOptions = {},
): Promise<UnitResult & { readonly reused: boolean }> {
  const found = await readResult(folder, unit.id);
  if (typeof found === "object") return { ...found, reused: true };
  if (found !== undefined) options.onNotice?.(`${found}; the unit is done again`);
  await checkWritable(folder);
  try {
    const result = await whileMarked(folder, unit.id, () => measure(unit, folder, options));
    await writeResult(folder, result);
    return { ...result, reused: false };
  } catch (error) {
    // A unit that was stopped did not fail; and where the folder takes no file, there is no place to say so.
    if (!options.signal?.aborted)
      await writeFailure(folder, unit.id, messageOf(error), canRetry(error)).catch(() => {});
    throw error;
  }
}

/** Whether the same unit may go well at another time or on another machine: a full disk, a lost network, no memory; not a mistake in the plan. */
export function canRetry(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (typeof (cause as NodeJS.ErrnoException).syscall === "string") return true;
    if (cause.name === "HubError" && !["denied", "missing"].includes((cause as { failure?: string }).failure!))
      return true;
  }
  return !(error instanceof PrunelabError);
}

async function measure(unit: Unit, folder: string, options: RunUnitOptions): Promise<UnitResult> {
  const {
    onProgress,
    onNotice,
    signal,
    open = (model) => openCheckpoint(model, { ...(onNotice && { onNotice }) }),
  } = options;
  const startedAt = new Date();
  const clock = stopwatch();
  const told = { ...(onProgress && { onProgress }), ...(onNotice && { onNotice }), ...(signal && { signal }) };
  const dense = await open(unit.model);
  await checkInputs(unit, dense);
  signal?.throwIfAborted();
  let checkpoint: Checkpoint = unit.recipe ? await prune(dense, { ...(unit.recipe as PruneOptions), ...told }) : dense;
  const seconds = { prune: clock(), recover: 0, export: 0, score: 0, total: 0 };
  signal?.throwIfAborted();
  if (unit.recover) {
    const { recover } = await import("../train/recover.ts");
    checkpoint = await recover(checkpoint, { ...(unit.recover as unknown as RecoverOptions), teacher: dense, ...told });
    seconds.recover = clock();
  }
  const exports: Record<string, string> = {};
  for (const form of unit.export) {
    signal?.throwIfAborted();
    const path = join("exports", unit.id, form.replaceAll(":", "-"));
    await exportModel(checkpoint, join(folder, path), { to: form, force: true });
    exports[form] = path;
  }
  seconds.export = clock();
  const scored = await score(unit, checkpoint, folder, options);
  seconds.score = clock();
  seconds.total = seconds.prune + seconds.recover + seconds.export + seconds.score;
  const { sparsity } = (await sparsityReport(checkpoint)).scope;
  return {
    ...{ schema: sweepSchema, id: unit.id, unit, rows: scored.rows, digest: await checkpoint.digest(), sparsity },
    ...{ files: scored.files, exports, host: await describeHost(), startedAt: startedAt.toISOString(), seconds },
  };
}

async function score(
  unit: Unit,
  checkpoint: Checkpoint,
  folder: string,
  { onProgress, signal }: RunUnitOptions,
): Promise<{ rows: ScoreRow[]; files: UnitResult["files"] }> {
  if (unit.tasks.length === 0 && unit.windows === null) return { rows: [], files: null };
  const told = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  const model = await loadLanguageModel(checkpoint, told);
  try {
    const rows: ScoreRow[] = [];
    if (unit.windows !== null) rows.push(await perplexityRow(model, unit.windows, told));
    signal?.throwIfAborted();
    if (unit.tasks.length === 0) return { rows, files: null };
    const shots = unit.numFewshot === null ? {} : { numFewshot: unit.numFewshot };
    const evaluation = await evaluate(model, unit.tasks, { limit: unit.limit, ...shots, ...told });
    return { rows: [...rows, ...scoreRows(evaluation)], files: await keepFiles(evaluation, folder, unit.id) };
  } finally {
    await model.release();
  }
}

/**
 * lm-eval's files under names without their date, so that another worker on the same unit writes the same. Each is renamed to its place whole;
 * collecting gives them lm-eval's names.
 */
async function keepFiles(evaluation: Evaluation, folder: string, id: string): Promise<UnitResult["files"]> {
  const scratch = join(folder, "results", `${id}.${hostname()}-${process.pid}.tmp`);
  try {
    const written = await writeResults(evaluation, scratch);
    await prepareFolder(join(folder, "results", id));
    const keep = async (path: string, name: string) => {
      await rename(path, join(folder, "results", id, name));
      return `results/${id}/${name}`;
    };
    const samples: Record<string, string> = {};
    for (const [task, path] of Object.entries(written.samples))
      samples[task] = await keep(path, `samples_${task}.jsonl`);
    return { results: await keep(written.results, "results.json"), samples };
  } finally {
    await rm(scratch, { recursive: true, force: true }).catch(() => {});
  }
}

async function perplexityRow(
  model: LanguageModel,
  windows: number,
  told: { readonly onProgress?: OnProgress },
): Promise<ScoreRow> {
  const { perplexity, low, high, windows: n } = await wikitextPerplexity(model, { limit: windows, ...told });
  return {
    model: model.name,
    task: "wikitext2",
    shots: 0,
    metric: "perplexity",
    n,
    score: perplexity,
    low,
    high,
    note: "",
  };
}

/** The plan was made from other bytes: its ids would lie. */
async function checkInputs(unit: Unit, dense: Checkpoint): Promise<void> {
  if ((await dense.digest()) !== unit.weights) {
    throw new PrunelabError(
      `other weights than planned: ${unit.model}; plan the study again, or give every machine the same model`,
    );
  }
  for (const [path, digest] of Object.entries(unit.files)) {
    if ((await fileDigest(path)) !== digest) {
      throw new PrunelabError(
        `another text than planned: ${path}; plan the study again, or give every machine the same file`,
      );
    }
  }
}

/** Reported before minutes of work, and by a byte, since a full disk takes an empty file. */
export async function checkWritable(folder: string): Promise<void> {
  await prepareFolder(join(folder, "results"));
  const path = join(folder, "results", `check-${hostname()}-${process.pid}.tmp`);
  await writeFileAtomic(path, "x");
  await rm(path, { force: true }).catch(() => {});
}

async function describeHost(): Promise<UnitResult["host"]> {
  const { env } = await import("onnxruntime-node");
  return {
    ...{ name: hostname(), processor: cpus()[0]?.model ?? "unknown", threads: threadCount() },
    ...{ node: process.versions.node, prunelab: packageVersion(), onnxruntime: env.versions.common ?? "unknown" },
  };
}

/** Seconds since the last call. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = Math.round(now - last) / 1000;
    last = now;
    return seconds;
  };
}

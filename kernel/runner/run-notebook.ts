/** Runs a notebook from top to bottom on a kernel of its own, and hands it over for saving after every cell. */
import { dirname } from "node:path";
import { messageOf } from "../errors.ts";
import { type KernelClient, startKernel } from "../protocol/client.ts";
import { openMemoryMeter } from "./memory-meter.ts";
import { type CodeCell, hasTag, isCode, isObject, type Notebook, type Output } from "./notebook.ts";
import { createOutputFold, errorOutput } from "./outputs.ts";
import { type CellError, type CellOutcome, runCell } from "./run-cell.ts";
import { type Failure, RunError } from "./run-error.ts";

/** `rerun` and `reused` are of a resumed run: run again only for what it makes, or not run at all. */
export type Origin = "run" | "rerun" | "reused";

export interface CellResult {
  cell: CodeCell;
  /** From 1, among the code cells. */
  number: number;
  status: CellOutcome["status"] | "skipped" | "not run";
  origin: Origin;
  /** ISO 8601; for a reused cell when it was run. */
  started?: string;
  durationMs?: number;
  /** Resident memory of the kernel's processes, added up. */
  peakMemoryBytes?: number;
  error?: CellError;
}

export interface NotebookResult {
  path: string;
  started: string;
  durationMs: number;
  cells: CellResult[];
  /** What a cell's trouble means for the run. */
  failure?: Failure | "stopped" | undefined;
}

export interface RunEvents {
  onStart?(result: CellResult): void;
  /** `text` is set for a part of a stream. */
  onOutput?(result: CellResult, output: Output, text: string | undefined): void;
  /** Again for a cell that what it had started fails after its end. */
  onEnd?(result: CellResult): void;
}

export interface RunOptions extends RunEvents {
  /** The notebook's file; it runs in that file's folder. */
  path: string;
  /** More arguments for the kernel, such as `--no-check`. */
  kernelArgs?: string[];
  /** Per cell. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
  /** How a cell comes by its outputs; `run` where not given. */
  origins?: ReadonlyMap<CodeCell, Origin>;
  /** More to record in a cell's metadata. */
  notes?: ReadonlyMap<CodeCell, Record<string, unknown>>;
  /** Called after each cell. */
  save(notebook: Notebook): void;
}

const failures: Partial<Record<CellResult["status"], Failure | "stopped">> = {
  failed: "failed",
  timeout: "timeout",
  lost: "kernel",
  stopped: "stopped",
};

/** Throws RunError when the kernel does not start, before anything is saved. */
export async function runNotebook(notebook: Notebook, options: RunOptions): Promise<NotebookResult> {
  const { path, signal } = options;
  const started = new Date();
  const results = notebook.cells.filter(isCode).map((cell, i): CellResult => {
    const status = hasTag(cell, "skip-execution") ? "skipped" : "not run";
    return { cell, number: i + 1, status, origin: options.origins?.get(cell) ?? "run" };
  });
  const result: NotebookResult = { path, started: started.toISOString(), durationMs: 0, cells: results };
  for (const each of results) if (each.origin === "reused") recall(each);
  if (!results.some(willRun)) return result;
  const kernel = await start(options);
  const finish = () => {
    result.durationMs = Date.now() - started.getTime();
    const known = isObject(notebook.metadata.prunelab) ? notebook.metadata.prunelab : {};
    const { failure, durationMs } = result;
    const status = failure ?? (results.some(willRun) ? "running" : "passed");
    notebook.metadata.prunelab = { ...known, started: result.started, durationMs, status };
    options.save(notebook);
  };
  try {
    describeKernel(notebook, kernel);
    for (const each of results) if (willRun(each)) forget(each);
    await runCells(kernel, results, options, (failure) => {
      result.failure = failure;
      finish();
    });
    if (signal?.aborted) result.failure ??= "stopped";
  } finally {
    await kernel.close();
  }
  result.durationMs = Date.now() - started.getTime();
  return result;
}

function willRun({ status }: CellResult): boolean {
  return status === "not run";
}

async function runCells(
  kernel: KernelClient,
  results: readonly CellResult[],
  options: RunOptions,
  onCellDone: (failure: Failure | "stopped" | undefined) => void,
): Promise<void> {
  const { timeoutMs, signal } = options;
  const fold = createOutputFold();
  const owners = new Map<string, CellResult>();
  const meter = openMemoryMeter(kernel.pid);
  let late: CellResult | undefined;
  let running: CellResult | undefined;
  // All messages, since what a cell started may print while a later one runs.
  const stop = kernel.listen((channel, { parent, header, content }) => {
    const owner = parent.msg_id === undefined ? undefined : owners.get(parent.msg_id);
    if (channel !== "iopub" || !owner) return;
    if (header.msg_type === "execute_input") owner.cell.execution_count = content.execution_count as number;
    const output = fold.add(owner.cell, header.msg_type, content);
    if (output) options.onOutput?.(owner, output, header.msg_type === "stream" ? String(content.text) : undefined);
    if (header.msg_type === "error" && owner !== running) {
      const { ename, evalue, traceback } = content;
      owner.error = { name: String(ename), value: String(evalue), traceback: traceback as string[] };
      late = owner;
    }
  });
  try {
    for (const result of results) {
      if (signal?.aborted) return;
      if (!willRun(result)) {
        options.onStart?.(result);
        options.onEnd?.(result);
        continue;
      }
      running = result;
      options.onStart?.(result);
      const started = new Date();
      meter.reset();
      const onMessage = ({ parent }: { parent: { msg_id?: string } }) => void owners.set(String(parent.msg_id), result);
      const outcome = await runCell(kernel, result.cell, { timeoutMs, signal, onMessage });
      running = undefined;
      settle(result, outcome, started, meter.peakBytes(), options);
      if (late) late.status = late.error?.name === "KernelRestarted" ? "lost" : "failed";
      options.onEnd?.(result);
      if (late && late !== result) {
        record(late, options);
        options.onEnd?.(late);
      }
      const failure = failures[result.status] ?? (late && failures[late.status]);
      onCellDone(failure);
      if (failure) return;
    }
  } finally {
    stop();
    meter.close();
  }
}

async function start({ path, kernelArgs = [] }: RunOptions): Promise<KernelClient> {
  let kernel: KernelClient | undefined;
  try {
    // A run by a machine is not a person's history.
    const JPY_PARENT_PID = String(process.pid);
    const env = {
      JPY_PARENT_PID,
      JPY_SESSION_NAME: path,
      PRUNELAB_HISTORY: process.platform === "win32" ? "NUL" : "/dev/null",
    };
    kernel = await startKernel({ cwd: dirname(path), env, args: kernelArgs });
    // The first question to the checker takes most of a second, which is not the first cell's time.
    if (!kernelArgs.includes("--no-check")) await kernel.request("inspect_request", { code: "Array", cursor_pos: 2 });
    return kernel;
  } catch (error) {
    await kernel?.close();
    throw new RunError("kernel", `the kernel did not start for ${path}: ${messageOf(error)}`);
  }
}

/** Old outputs must not stand where a run has not come yet. */
function forget({ cell }: CellResult): void {
  cell.outputs = [];
  cell.execution_count = null;
  delete cell.metadata.prunelab;
}

function settle(
  result: CellResult,
  outcome: CellOutcome,
  started: Date,
  peak: number | undefined,
  options: RunOptions,
): void {
  const { cell } = result;
  result.status = outcome.status;
  result.started = started.toISOString();
  result.durationMs = Date.now() - started.getTime();
  if (peak !== undefined) result.peakMemoryBytes = peak;
  if (outcome.error) result.error = outcome.error;
  if (outcome.error && outcome.isOurs) {
    const { name, value, traceback } = outcome.error;
    const output = errorOutput(name, value, traceback);
    cell.outputs.push(output);
    options.onOutput?.(result, output, undefined);
  }
  const ended = new Date().toISOString();
  cell.metadata.execution = { "iopub.execute_input": result.started, "shell.execute_reply": ended };
  record(result, options);
}

/** Keeps in the file what is known of the cell's run. */
function record(
  { cell, status, origin, started, durationMs, peakMemoryBytes }: CellResult,
  { notes }: RunOptions,
): void {
  const known = { status, origin, started, durationMs, ...(peakMemoryBytes !== undefined && { peakMemoryBytes }) };
  cell.metadata.prunelab = { ...known, ...notes?.get(cell) };
}

/** A reused cell has what an earlier run recorded, and no number in this one. */
function recall(result: CellResult): void {
  const { cell } = result;
  const known = isObject(cell.metadata.prunelab) ? cell.metadata.prunelab : {};
  result.status = "passed";
  if (typeof known.started === "string") result.started = known.started;
  if (typeof known.durationMs === "number") result.durationMs = known.durationMs;
  if (typeof known.peakMemoryBytes === "number") result.peakMemoryBytes = known.peakMemoryBytes;
  cell.execution_count = null;
  for (const output of cell.outputs) if (output.output_type === "execute_result") output.execution_count = null;
  cell.metadata.prunelab = { ...known, origin: "reused" };
}

/** What Jupyter writes into a notebook that it has run. */
function describeKernel(notebook: Notebook, kernel: KernelClient): void {
  notebook.metadata.kernelspec ??= {
    name: "prunelab",
    display_name: "TypeScript (Prunelab)",
    language: "typescript",
  };
  notebook.metadata.language_info = kernel.info.language_info;
}

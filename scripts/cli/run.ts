/** `prunelab run`: runs notebooks without a person. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { chains } from "../../kernel/runner/cell-chains.ts";
import { diffOutputs } from "../../kernel/runner/diff-outputs.ts";
import {
  type CodeCell,
  hasTag,
  isCode,
  type Notebook,
  type Output,
  readNotebook,
} from "../../kernel/runner/notebook.ts";
import { removeInjected } from "../../kernel/runner/parameters.ts";
import { titleOf, toAnnotations, toJson, toJunit } from "../../kernel/runner/report.ts";
import { exitCodes, RunError } from "../../kernel/runner/run-error.ts";
import {
  type CellResult,
  type NotebookResult,
  type RunOptions,
  runNotebook,
} from "../../kernel/runner/run-notebook.ts";
import { checkWritable, openNotebookFile, writeReport } from "../../kernel/runner/write-notebook.ts";
import type { Command } from "./command.ts";
import { createRunLog, summaryOf } from "./run-log.ts";
import { type RunCommand, runCommandOf } from "./run-options.ts";

interface Job {
  /** As the user wrote it. */
  name: string;
  path: string;
  notebook: Notebook;
  result?: NotebookResult;
  problem?: string;
  exitCode: number;
}

const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** What counts, where notebooks end differently. */
const gravest = [
  exitCodes.kernel,
  exitCodes.timeout,
  exitCodes.write,
  exitCodes.failed,
  exitCodes.different,
] as number[];

const SAME_SIGNAL_MS = 1000;

export const run: Command = runCommandOf(runNotebooks);

async function runNotebooks(command: RunCommand): Promise<undefined> {
  const jobs = command.names.map((name): Job => {
    const path = resolve(name);
    return { name, path, notebook: readNotebook(name), exitCode: exitCodes.passed };
  });
  for (const path of Object.values(command.reports)) if (path !== undefined) checkWritable(path);
  await setParameters(jobs, command);

  // What a cell prints must not be taken for a command to GitHub.
  const token = process.env.GITHUB_ACTIONS === "true" ? randomUUID() : undefined;
  if (token) console.log(`::stop-commands::${token}`);
  const stop = command.mode === "check" ? await checkAll(jobs) : await runAll(jobs, command);
  if (token) console.log(`::${token}::`);

  for (const { name, result, problem } of jobs) {
    if (problem !== undefined) console.error(`prunelab: ${problem}`);
    else console.log(result ? summaryOf(name, result) : `${name}: not run`);
  }
  if (token) for (const line of toAnnotations(jobs)) console.log(line);
  const { junit, json, html } = command.reports;
  if (junit !== undefined) writeReport(junit, toJunit(jobs));
  if (json !== undefined) writeReport(json, toJson(jobs));
  if (html !== undefined) {
    // It takes longer to load than the rest of the command.
    const { toHtml } = await import("../../kernel/runner/html-report.ts");
    writeReport(html, toHtml(jobs));
  }
  const codes = jobs.map(({ exitCode }) => exitCode);
  process.exitCode = stop ? signalCodes[stop] : (gravest.find((code) => codes.includes(code)) ?? exitCodes.passed);
}

/** A notebook without the cell, or that does not know a name, is left as it is where another one knows it. */
async function setParameters(jobs: readonly Job[], { parameters, mode }: RunCommand): Promise<void> {
  if (parameters.length === 0) {
    // Only a new run begins anew.
    for (const { name, notebook } of mode === "run" ? jobs : []) {
      if (removeInjected(notebook)) console.log(`${name}: without the parameters that an earlier run had set`);
    }
    return;
  }
  // The compiler is loaded only where it is needed.
  const { injectParameters, parameterNames } = await import("../../kernel/runner/inject-parameters.ts");
  const { withLanguage } = await import("../../kernel/runner/with-language.ts");
  const known = jobs.map(({ notebook }) => parameterNames(notebook));
  const names = [...new Set(known.flat())];
  const unknown = parameters.find(({ name }) => !names.includes(name));
  if (unknown && names.length === 0) {
    const where = jobs.map(({ name }) => name).join(", ");
    throw new RunError("options", `no cell is tagged parameters, so ${unknown.name} cannot be set: ${where}`);
  }
  if (unknown) throw new RunError("options", `unknown parameter; known are ${names.join(", ")}: ${unknown.name}`);
  for (const [i, { name, path, notebook }] of jobs.entries()) {
    const own = parameters.filter((parameter) => known[i]?.includes(parameter.name));
    if (own.length === 0) continue;
    await withLanguage(dirname(path), (language) => injectParameters(language, notebook, own, name));
  }
}

async function checkAll(jobs: readonly Job[]): Promise<undefined> {
  const { checkCells } = await import("../../kernel/runner/check-cells.ts");
  const { withLanguage } = await import("../../kernel/runner/with-language.ts");
  for (const folder of new Set(jobs.map(({ path }) => dirname(path)))) {
    await withLanguage(folder, async (language) => {
      for (const job of jobs.filter(({ path }) => dirname(path) === folder)) {
        const started = new Date();
        const cells = job.notebook.cells.filter(isCode);
        language.reset();
        const found = await checkCells(language, cells);
        const results = cells.map((cell, i): CellResult => {
          const error = found.find((each) => each.cell === cell)?.error;
          const status = error ? "failed" : hasTag(cell, "skip-execution") ? "skipped" : "passed";
          return { cell, number: i + 1, origin: "run", status, ...(error && { error }) };
        });
        for (const result of results.filter(({ error }) => error)) {
          console.log(`${job.name} [${result.number}/${cells.length}] ${titleOf(result)}`);
          console.log(result.error?.traceback.join("\n"));
        }
        job.result = {
          path: job.path,
          started: started.toISOString(),
          durationMs: Date.now() - started.getTime(),
          cells: results,
          ...(found.length > 0 && { failure: "failed" }),
        };
        if (found.length > 0) job.exitCode = exitCodes.failed;
      }
    });
  }
  return undefined;
}

/** Gives the signal that stopped the run. */
async function runAll(jobs: readonly Job[], command: RunCommand): Promise<keyof typeof signalCodes | undefined> {
  const stop = new AbortController();
  let firstMs = 0;
  const onSignal = (signal: keyof typeof signalCodes) => {
    // The second time at once; npm passes on what the terminal has sent already, so not if it comes with the first.
    if (stop.signal.aborted && performance.now() - firstMs > SAME_SIGNAL_MS) process.exit(signalCodes[signal]);
    firstMs ||= performance.now();
    stop.abort(signal);
  };
  for (const signal of Object.keys(signalCodes)) process.on(signal, onSignal);
  let next = 0;
  const work = async () => {
    for (let i = next++; i < jobs.length && !stop.signal.aborted; i = next++) {
      const job = jobs[i] as Job;
      try {
        await runJob(job, command, jobs.length, stop.signal);
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        job.problem = error.message;
        job.exitCode = error.exitCode;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(command.jobs, jobs.length) }, work));
  return stop.signal.aborted ? stop.signal.reason : undefined;
}

async function runJob(job: Job, command: RunCommand, count: number, signal: AbortSignal): Promise<void> {
  const { name, path, notebook } = job;
  const { mode, timeoutMs, kernelArgs, quiet } = command;
  const output = command.outputOf(path);
  const cells = notebook.cells.filter(isCode);
  const saved = new Map<CodeCell, Output[]>(cells.map((cell) => [cell, cell.outputs]));
  const isMixed = command.jobs > 1 && count > 1;
  const options: RunOptions = {
    path,
    timeoutMs,
    signal,
    kernelArgs,
    save: mode === "diff" ? () => {} : openNotebookFile(output).write,
    ...(await planOf(job, command, output)),
    ...createRunLog(isMixed ? "" : `${name} `, cells.length, { prefix: isMixed ? `${basename(name)} | ` : "", quiet }),
  };
  const result = await runNotebook(notebook, options);
  job.result = result;
  const { failure } = result;
  if (failure && failure !== "stopped") job.exitCode = exitCodes[failure];
  if (mode !== "diff") return;
  for (const each of result.cells) {
    if (each.status !== "passed") continue;
    const difference = diffOutputs(saved.get(each.cell) ?? [], each.cell.outputs, command.masks);
    if (difference === "") continue;
    console.log(`\n${name} [${each.number}/${cells.length}] outputs differ: ${titleOf(each)}\n${difference}`);
    each.status = "failed";
    each.error = { name: "OutputsDiffer", value: "the outputs are not the saved ones", traceback: [difference] };
    if (job.exitCode === exitCodes.passed) job.exitCode = exitCodes.different;
    result.failure ??= "different";
  }
}

/** What to record of each cell for a later --resume, and what this run can reuse. */
async function planOf({ notebook }: Job, { mode }: RunCommand, output: string): Promise<Partial<RunOptions>> {
  const notes = chains(notebook);
  if (mode !== "resume" || !existsSync(output)) return { notes };
  const { planResume } = await import("../../kernel/runner/resume.ts");
  return { notes, origins: planResume(readNotebook(output), notes) };
}

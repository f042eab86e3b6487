/** `prunelab run`: runs notebooks without a person. */
import { existsSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isCode, type Notebook, readNotebook } from "../kernel/headless/notebook.ts";
import { exitCodes, type Failure, RunError } from "../kernel/headless/run-error.ts";
import { type NotebookResult, runNotebook } from "../kernel/headless/run-notebook.ts";
import { openNotebookFile } from "../kernel/headless/write-notebook.ts";
import { createRunLog, summaryOf } from "./run-log.ts";

const help = `usage: prunelab run [options] <notebook.ipynb…>

Runs every cell of each notebook from top to bottom, each notebook on a TypeScript kernel of its own, in its own folder.
The notebook is written in place, whole, after every cell, also when a cell fails or the run is stopped; not before
its first cell has run. Outputs of cells that did not come to run are removed.

--output <path>       write here instead and leave the notebook as it is: a file, or a folder (for several: a folder)
--timeout <seconds>   for each cell; default none
--jobs <n>            notebooks that run at once; default 1
--no-check            run cells without checking their types
--quiet               without what the cells show

A cell tagged skip-execution is not run; one tagged raises-exception must raise. The first cell that fails ends its notebook.
Each cell's duration and peak memory (resident, all processes of the kernel) are in its metadata under prunelab.

exit codes: 0 all passed; 1 a cell failed; 2 wrong options or parameters, nothing ran; 3 no notebook that can be run,
nothing ran; 4 a cell ran too long; 5 a kernel died or did not start; 7 a file could not be
written; 129, 130, 143 stopped by SIGHUP, SIGINT, SIGTERM. Of several, the highest of 1 to 7 counts.`;

interface Job {
  /** As the user wrote it. */
  name: string;
  path: string;
  output: string;
  notebook: Notebook;
}

const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

export async function runRun(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      output: { type: "string" },
      timeout: { type: "string" },
      jobs: { type: "string", default: "1" },
      "no-check": { type: "boolean", default: false },
      quiet: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(help);
  if (positionals.length === 0) throw new RunError("options", "which notebook? usage: prunelab run <notebook.ipynb…>");
  const timeoutMs = values.timeout === undefined ? undefined : 1000 * positive("--timeout", values.timeout);
  const jobs = positive("--jobs", values.jobs);
  const outputOf = outputPaths(values.output, positionals.length);
  const all = positionals.map((name): Job => {
    const path = resolve(name);
    return { name, path, output: outputOf(path), notebook: readNotebook(path) };
  });

  const stop = new AbortController();
  const stopOn = (signal: keyof typeof signalCodes) => {
    // The second time at once.
    if (stop.signal.aborted) process.exit(signalCodes[signal]);
    stop.abort(signal);
    process.exitCode = signalCodes[signal];
  };
  for (const signal of Object.keys(signalCodes)) process.on(signal, stopOn);

  const runOne = async ({ name, path, output, notebook }: Job): Promise<NotebookResult | RunError> => {
    const prefix = jobs > 1 && all.length > 1 ? `${basename(name)} | ` : "";
    const cells = notebook.cells.filter(isCode).length;
    try {
      const file = openNotebookFile(output);
      return await runNotebook(notebook, {
        path,
        timeoutMs,
        signal: stop.signal,
        kernelArgs: values["no-check"] ? ["--no-check"] : [],
        save: file.write,
        ...createRunLog(prefix ? "" : name, cells, { prefix, quiet: values.quiet }),
      });
    } catch (error) {
      if (error instanceof RunError) return error;
      throw error;
    }
  };
  const results = await inPool(all, jobs, (job) => (stop.signal.aborted ? undefined : runOne(job)));

  let code: number = exitCodes.passed;
  for (const [i, result] of results.entries()) {
    const { name } = all[i] as Job;
    if (result instanceof RunError) {
      console.error(`prunelab: ${result.message}`);
      code = Math.max(code, result.exitCode);
    } else if (result) {
      console.log(summaryOf(name, result));
      if (result.failure && result.failure !== "stopped")
        code = Math.max(code, exitCodes[result.failure satisfies Failure]);
    } else {
      console.log(`${name}: not run`);
    }
  }
  if (!stop.signal.aborted) process.exitCode = code;
}

/** As many at a time as allowed; the results in the order of the items. */
async function inPool<Item, Result>(
  items: readonly Item[],
  size: number,
  run: (item: Item) => Promise<Result> | undefined,
): Promise<(Result | undefined)[]> {
  const results: (Result | undefined)[] = items.map(() => undefined);
  let next = 0;
  const work = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await run(items[i] as Item);
  };
  await Promise.all(Array.from({ length: Math.min(size, items.length) }, work));
  return results;
}

function outputPaths(output: string | undefined, count: number): (path: string) => string {
  if (output === undefined) return (path) => path;
  const isFolder = output.endsWith("/") || (existsSync(output) && statSync(output).isDirectory());
  if (!isFolder && !output.endsWith(".ipynb")) {
    throw new RunError("options", `invalid --output; a file.ipynb, or a folder that exists or ends with /: ${output}`);
  }
  if (!isFolder && count > 1) throw new RunError("options", `several notebooks need a folder as --output: ${output}`);
  return (path) => (isFolder ? join(resolve(output), basename(path)) : resolve(output));
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0) || !Number.isFinite(value)) {
    throw new RunError("options", `invalid ${option}; a number above 0: ${text}`);
  }
  return value;
}

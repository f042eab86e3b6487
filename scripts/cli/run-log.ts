/** Prints a headless run as it goes: a line when a cell starts and ends, and between them what it shows. */

import type { Output } from "../../kernel/runner/notebook.ts";
import { titleOf } from "../../kernel/runner/report.ts";
import type { CellResult, NotebookResult, RunEvents } from "../../kernel/runner/run-notebook.ts";
import { duration } from "../../src/base/duration.ts";

export interface RunLogOptions {
  /** Put before every line, where several notebooks run at once. */
  prefix: string;
  /** Without what the cells show. */
  quiet: boolean;
}

/** Between two lines on how far a call has come, when they are not renewed in place. */
const PROGRESS_INTERVAL_MS = 10_000;

/** Lines of notebooks that run at once must not mix, so with a prefix a line is printed when it is whole. */
export function createRunLog(name: string, cells: number, { prefix, quiet }: RunLogOptions): RunEvents {
  let rest = "";
  const print = (text: string) => {
    if (prefix === "") return void process.stdout.write(text);
    const lines = (rest + text).split("\n");
    rest = lines.pop() as string;
    process.stdout.write(lines.map((line) => `${prefix}${line}\n`).join(""));
  };
  let atLineStart = true;
  const show = (text: string) => {
    if (text === "") return;
    print(text);
    atLineStart = text.endsWith("\n");
  };
  const line = (text: string) => show(`${atLineStart ? "" : "\n"}${text}\n`);
  const renews = prefix === "" && process.stdout.isTTY === true;
  let progress: string | undefined;
  let progressAt = 0;
  /** How far a call of the cell's has come: renewed in place in a terminal, else a line now and then. */
  const showProgress = (text: string) => {
    progress = text;
    if (renews) {
      process.stdout.write(`${atLineStart ? "" : "\n"}\r\x1b[K${text.slice(0, process.stdout.columns - 1)}`);
      atLineStart = true;
    } else if (performance.now() - progressAt > PROGRESS_INTERVAL_MS) {
      endProgress();
    }
  };
  const endProgress = () => {
    if (progress === undefined) return;
    if (renews) process.stdout.write("\r\x1b[K");
    const text = progress;
    progress = undefined;
    progressAt = performance.now();
    line(text);
  };
  return {
    onStart: (result) => {
      if (result.origin !== "reused") line(`${name}[${result.number}/${cells}] ${titleOf(result)}`);
    },
    onOutput: (_result, output, text) => {
      if (quiet) return;
      const plain = (output.data as Record<string, unknown> | undefined)?.["text/plain"];
      if (isProgress(output) && typeof plain === "string") return showProgress(plain);
      endProgress();
      if (text !== undefined) return show(text);
      if (output.output_type === "error") return line((output.traceback as string[]).join("\n"));
      line(typeof plain === "string" ? plain : `(${Object.keys(output.data ?? {}).join(", ")})`);
    },
    onEnd: (result) => {
      endProgress();
      line(`${name}[${result.number}/${cells}] ${endOf(result)}`);
    },
  };
}

/** As kernel/display/call-progress.ts marks them. */
function isProgress({ metadata }: Output): boolean {
  return (metadata as { prunelab?: { progress?: boolean } } | undefined)?.prunelab?.progress === true;
}

/** A notebook's last line, such as `notebooks/prune.ipynb: 12 passed, 1 failed in 3 min 20 s, 2.10 GB at most`. */
export function summaryOf(name: string, { cells, durationMs }: NotebookResult): string {
  const counts = new Map<string, number>();
  for (const { status, origin } of cells) {
    const word = origin === "reused" ? "reused" : status;
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const words = [...counts].map(([word, count]) => `${count} ${word}`).join(", ");
  const peak = Math.max(
    0,
    ...cells.map(({ origin, peakMemoryBytes = 0 }) => (origin === "reused" ? 0 : peakMemoryBytes)),
  );
  return `${name}: ${words} in ${duration(durationMs / 1000)}${peak > 0 ? `, ${bytes(peak)} at most` : ""}`;
}

function endOf({ status, origin, durationMs, peakMemoryBytes, started, error }: CellResult): string {
  if (origin === "reused") return `reused, as it ran at ${started ?? "an unknown time"}`;
  if (status === "skipped") return "skipped (tag skip-execution)";
  const measured = `in ${duration((durationMs ?? 0) / 1000)}${peakMemoryBytes ? `, ${bytes(peakMemoryBytes)}` : ""}`;
  const again = origin === "rerun" ? " again" : "";
  return `${status}${again} ${measured}${error && status !== "passed" ? `: ${error.name}: ${error.value}` : ""}`;
}

function bytes(count: number): string {
  return count < 1e9 ? `${(count / 1e6).toFixed(0)} MB` : `${(count / 1e9).toFixed(2)} GB`;
}

/** Runs one cell and tells how it ended; stops it when it takes too long or the run is stopped. */
import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../errors.ts";
import type { KernelClient } from "../protocol/client.ts";
import type { Content, Message } from "../protocol/message.ts";
import { type CodeCell, hasTag } from "./notebook.ts";

export interface CellError {
  name: string;
  value: string;
  traceback: string[];
}

export interface CellOutcome {
  /** `lost` is a process that died, with all that the cells had made. */
  status: "passed" | "failed" | "timeout" | "lost" | "stopped";
  error?: CellError;
  /** The kernel has not shown the error itself. */
  isOurs?: boolean;
}

export interface CellOptions {
  timeoutMs?: number | undefined;
  /** Its reason names what stopped the run, such as `SIGTERM`. */
  signal?: AbortSignal | undefined;
  onMessage(message: Message): void;
}

/** The kernel replaces a process that does not stop within 2.5 s. */
const STOP_WAIT_MS = 6000;

export async function runCell(kernel: KernelClient, cell: CodeCell, options: CellOptions): Promise<CellOutcome> {
  const { timeoutMs, signal, onMessage } = options;
  const ended = kernel.execute(cell.source, { onMessage }).then(
    ({ reply }) => outcomeOf(reply, hasTag(cell, "raises-exception")),
    (error: unknown): CellOutcome => ours("lost", "DeadKernel", messageOf(error)),
  );
  const over = new AbortController();
  const never = new Promise<never>(() => {});
  const timeout = timeoutMs === undefined ? never : delay(timeoutMs, "timeout" as const, { signal: over.signal });
  const stopped = signal ? aborted(signal, over.signal) : never;
  const first = await Promise.race([ended, timeout.catch(() => never), stopped]);
  over.abort();
  if (first !== "timeout" && first !== "stopped") return signal?.aborted ? stoppedBy(signal) : first;

  kernel.interrupt().catch(() => {});
  await Promise.race([ended, delay(STOP_WAIT_MS, undefined, { ref: false })]);
  if (first === "stopped") return stoppedBy(signal as AbortSignal);
  return ours("timeout", "CellTimeout", `the cell ran longer than ${(timeoutMs as number) / 1000} s and was stopped`);
}

function outcomeOf(reply: Content, mayRaise: boolean): CellOutcome {
  const { status, ename, evalue, traceback } = reply;
  if (status === "ok") {
    if (!mayRaise) return { status: "passed" };
    return ours("failed", "NothingRaised", "the cell is tagged raises-exception, but raised none");
  }
  // The kernel aborts what was queued behind a failed cell; that cell has not run.
  if (status !== "error") return ours("failed", "NotRun", `the kernel did not run the cell: ${status}`);
  const error = { name: String(ename), value: String(evalue), traceback: (traceback as string[] | undefined) ?? [] };
  if (ename === "KernelRestarted") return { status: "lost", error };
  return { status: mayRaise ? "passed" : "failed", error };
}

function stoppedBy(signal: AbortSignal): CellOutcome {
  return ours("stopped", "Stopped", `the run was stopped by ${signal.reason} in this cell`);
}

function ours(status: CellOutcome["status"], name: string, value: string): CellOutcome {
  return { status, error: { name, value, traceback: [`${name}: ${value}`] }, isOurs: true };
}

function aborted(signal: AbortSignal, over: AbortSignal): Promise<"stopped"> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve("stopped");
    signal.addEventListener("abort", () => resolve("stopped"), { signal: over });
  });
}

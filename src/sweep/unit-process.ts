/** The process that does one unit for a worker: a crash, or a machine out of memory, ends it and not the worker. */
import { messageOf } from "../errors.ts";
import type { Unit } from "./plan.ts";
import { canRetry, runUnit } from "./unit.ts";

/** What a worker sends, once. */
export interface UnitOrder {
  readonly unit: Unit;
  readonly folder: string;
}

/** What comes back, for the worker's log and the queue. */
export type UnitReport =
  | { readonly kind: "progress"; readonly step: string; readonly share: number }
  | { readonly kind: "notice"; readonly line: string }
  | { readonly kind: "failure"; readonly message: string };

/** sysexits.h: done, try again (EX_TEMPFAIL), never again (EX_USAGE). */
export const exitCodes = { done: 0, tryAgain: 75, neverAgain: 64 } as const;

/** A unit that does not stop between its batches within this many ms is cut off; all it writes is whole or not there. */
const GRACE_MS = 5_000;
/** Between two reports of progress. */
const REPORT_MS = 1_000;

/** Does a unit and says how it ended as an exit code; SIGTERM and SIGINT stop it, and it may be tried again. */
export async function runStoppable(
  { unit, folder }: UnitOrder,
  { report, stop }: { readonly report: (report: UnitReport) => void; readonly stop?: AbortSignal },
): Promise<number> {
  const controller = new AbortController();
  const end = () => {
    controller.abort();
    setTimeout(() => process.exit(exitCodes.tryAgain), GRACE_MS).unref();
  };
  process.once("SIGTERM", end);
  process.once("SIGINT", end);
  stop?.addEventListener("abort", end, { once: true });
  let last = 0;
  try {
    await runUnit(unit, folder, {
      signal: controller.signal,
      onNotice: (line) => report({ kind: "notice", line }),
      onProgress: ({ step, done, total }) => {
        const now = performance.now();
        if (now - last < REPORT_MS) return;
        last = now;
        report({ kind: "progress", step, share: total > 0 ? done / total : 0 });
      },
    });
    return exitCodes.done;
  } catch (error) {
    if (controller.signal.aborted) return exitCodes.tryAgain;
    report({ kind: "failure", message: messageOf(error) });
    return canRetry(error) ? exitCodes.tryAgain : exitCodes.neverAgain;
  } finally {
    process.off("SIGTERM", end);
    process.off("SIGINT", end);
  }
}

// Forked by a worker; imported for runStoppable it does nothing.
if (process.send && process.argv[2] === "unit-process") {
  const orphaned = new AbortController();
  process.once("disconnect", () => orphaned.abort());
  process.once("message", (order: UnitOrder) => {
    const report = (line: UnitReport) => void (process.connected && process.send!(line));
    void runStoppable(order, { report, stop: orphaned.signal }).then((code) => process.exit(code));
  });
}

/** Shows, in the process of the cells, how far the library's long calls have come: one output a cell, renewed in place, one line at its end. */
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers";
import { advanceText, duration } from "../../src/base/duration.ts";
import { escapeMarkup } from "../../src/base/escape-markup.ts";
import type { Publish } from "./display-api.ts";
import { ownerId } from "./owner.ts";

/** As src/progress.ts has it. */
interface Progress {
  readonly step: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
}

interface Step {
  readonly started: number;
  readonly offset: number;
  progress: Progress;
}

interface Shown {
  readonly display: string;
  readonly started: number;
  readonly steps: Map<string, Step>;
  current: Step;
  /** When it was last shown; before a cell has taken a second nothing is. */
  shownAt: number | undefined;
  timer: NodeJS.Timeout;
}

export interface CallProgress {
  onProgress(progress: Progress): void;
  onNotice(line: string): void;
  /** What a cell leaves of its progress once it has ended. */
  end(owner: string, ok: boolean): void;
}

/** A call that is done before needs no bar. */
const PATIENCE_MS = 1000;
const MIN_INTERVAL_MS = 200;
/** Front ends and runners know such outputs by it. */
const metadata = { prunelab: { progress: true } };

export function createCallProgress(publish: Publish): CallProgress {
  const cells = new Map<string, Shown>();
  /** What a stopped cell has started may go on; its bar must not. */
  const ended = new Set<string>();

  function show(owner: string, shown: Shown, line: Line): void {
    const type = shown.shownAt === undefined ? "display_data" : "update_display_data";
    shown.shownAt = performance.now();
    publish(owner, type, { data: bundle(line), metadata, transient: { display_id: shown.display } });
  }

  function start(owner: string, progress: Progress): Shown {
    const now = performance.now();
    const current = { started: now, offset: progress.done, progress };
    const steps = new Map([[progress.step, current]]);
    const timer = setTimeout(() => show(owner, shown, lineOf(shown.current)), PATIENCE_MS).unref();
    const shown: Shown = { display: randomUUID(), started: now, steps, current, shownAt: undefined, timer };
    cells.set(owner, shown);
    return shown;
  }

  return {
    onProgress: (progress) => {
      const owner = ownerId();
      if (ended.has(owner)) return;
      const now = performance.now();
      const shown = cells.get(owner) ?? start(owner, progress);
      const step = shown.steps.get(progress.step) ?? { started: now, offset: progress.done, progress };
      shown.steps.set(progress.step, step);
      step.progress = progress;
      shown.current = step;
      const waits = shown.shownAt === undefined ? PATIENCE_MS : MIN_INTERVAL_MS;
      if (now - (shown.shownAt ?? shown.started) < waits) return;
      clearTimeout(shown.timer);
      show(owner, shown, lineOf(step));
    },
    onNotice: (line) => {
      publish(ownerId(), "display_data", {
        data: { "text/html": `<small>${escapeMarkup(line)}</small>`, "text/plain": line },
        metadata: { prunelab: { notice: true } },
        transient: {},
      });
    },
    end: (owner, ok) => {
      ended.add(owner);
      const shown = cells.get(owner);
      if (!shown) return;
      cells.delete(owner);
      clearTimeout(shown.timer);
      if (shown.shownAt !== undefined) show(owner, shown, { text: summary(shown, ok) });
    },
  };
}

interface Line {
  readonly text: string;
  readonly name?: string;
  readonly share?: number;
}

function lineOf({ progress, started, offset }: Step): Line {
  const seconds = (performance.now() - started) / 1000;
  const text = advanceText({ ...progress, offset, seconds });
  return { name: progress.step, text, ...(progress.total > 0 && { share: progress.done / progress.total }) };
}

const TEXT_WIDTH = 24;

function bundle({ name = "", text, share }: Line): Record<string, string> {
  if (name === "") return { "text/html": `<small>${escapeMarkup(text)}</small>`, "text/plain": text };
  const filled = Math.round(Math.min(1, share ?? 0) * TEXT_WIDTH);
  const bar = share === undefined ? "" : ` [${"#".repeat(filled).padEnd(TEXT_WIDTH, "-")}]`;
  const element =
    share === undefined ? "<progress></progress>" : `<progress value="${share.toFixed(4)}" max="1"></progress>`;
  return {
    "text/html": `<small>${escapeMarkup(name)} ${element} ${escapeMarkup(text)}</small>`,
    "text/plain": `${name}${bar} ${text}`,
  };
}

const MOST_STEPS = 3;

/** E.g. `score hellaswag: 200 of 200 documents, score boolq and 4 more steps in 1 min 20 s`. */
function summary({ steps, current, started }: Shown, ok: boolean): string {
  const seconds = (performance.now() - started) / 1000;
  const names = [...steps.keys()];
  if (!ok) {
    const { step, done, total, unit } = current.progress;
    const place = unit === "bytes" || total === 0 ? step : `${step}, ${done} of ${total} ${unit}`;
    return `stopped after ${duration(seconds)} at ${place}`;
  }
  const { progress } = current;
  const count =
    names.length === 1 && progress.unit !== "bytes"
      ? ` (${progress.done.toLocaleString("en-US")} ${progress.unit})`
      : "";
  const more = names.length > MOST_STEPS ? ` and ${names.length - MOST_STEPS + 1} more steps` : "";
  return `${names.slice(0, more ? MOST_STEPS - 1 : MOST_STEPS).join(", ")}${more}${count} in ${duration(seconds)}`;
}

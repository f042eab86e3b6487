/** A progress bar for cells: updates in place, and is a line of text where HTML is not shown. */
import { randomUUID } from "node:crypto";
import { duration } from "../../src/base/duration.ts";
import { escapeMarkup } from "../../src/base/escape-markup.ts";
import type { DisplayApi } from "./display-api.ts";

export interface ProgressBar {
  /** Moves the bar to `done` of its total, or one step on. */
  update(done?: number, note?: string): void;
  /** Ends the bar where it stands. */
  close(): void;
}

export interface ProgressOptions {
  total?: number;
  label?: string;
}

export interface Progress {
  /** A bar that counts to `total`. */
  (total: number, label?: string): ProgressBar;
  /** Goes through the values and shows how far it is. */
  <Value>(values: Iterable<Value>, options?: ProgressOptions): Iterable<Value>;
  <Value>(values: AsyncIterable<Value>, options?: ProgressOptions): AsyncIterable<Value>;
}

type Values = Iterable<unknown> | AsyncIterable<unknown>;

const TEXT_WIDTH = 30;
/** Between two updates; the first and the last always come. */
const MIN_INTERVAL_MS = 100;

export function createProgress(display: DisplayApi["display"]): Progress {
  const progress = (subject: number | Values, options?: string | ProgressOptions): ProgressBar | Values => {
    if (typeof subject === "number")
      return startBar(display, subject, typeof options === "string" ? options : options?.label);
    const { total = sizeOf(subject), label } = typeof options === "object" ? options : {};
    const bar = () => startBar(display, total, label);
    return Symbol.asyncIterator in subject ? followAsync(subject, bar) : follow(subject, bar);
  };
  return progress as Progress;
}

function* follow(values: Iterable<unknown>, start: () => ProgressBar): Generator<unknown> {
  const bar = start();
  try {
    for (const value of values) {
      yield value;
      bar.update();
    }
  } finally {
    bar.close();
  }
}

async function* followAsync(values: AsyncIterable<unknown>, start: () => ProgressBar): AsyncGenerator<unknown> {
  const bar = start();
  try {
    for await (const value of values) {
      yield value;
      bar.update();
    }
  } finally {
    bar.close();
  }
}

function sizeOf(values: Values): number | undefined {
  const { length, size } = values as { length?: number; size?: number };
  return length ?? size;
}

function startBar(display: DisplayApi["display"], total: number | undefined, label = ""): ProgressBar {
  const id = randomUUID();
  const started = performance.now();
  let done = 0;
  let note = "";
  let shownAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  function show(update: boolean): void {
    shownAt = performance.now();
    display(bundle({ done, total, label, note, seconds: (shownAt - started) / 1000 }), { id, update, raw: true });
  }

  show(false);
  return {
    update: (now = done + 1, text = note) => {
      if (isClosed) return;
      done = now;
      note = text;
      if (performance.now() - shownAt >= MIN_INTERVAL_MS || done === total) show(true);
    },
    close: () => {
      if (isClosed) return;
      isClosed = true;
      show(true);
    },
  };
}

interface State {
  done: number;
  total: number | undefined;
  label: string;
  note: string;
  seconds: number;
}

function bundle({ done, total, label, note, seconds }: State): Record<string, string> {
  const share = total ? Math.min(1, done / total) : undefined;
  const left = share && share < 1 ? `, ${duration((seconds / share) * (1 - share))} left` : "";
  const count = `${done}${total === undefined ? "" : `/${total}`} in ${duration(seconds)}${left}${note && `, ${note}`}`;
  const filled = Math.round((share ?? 0) * TEXT_WIDTH);
  const bar =
    share === undefined ? "" : `[${"#".repeat(filled)}${"-".repeat(TEXT_WIDTH - filled)}] ${Math.round(share * 100)}% `;
  const element = share === undefined ? "<progress></progress>" : `<progress value="${share}" max="1"></progress>`;
  const text = [label, bar + count].filter((part) => part !== "").join(" ");
  return { "text/html": `${escapeMarkup(label)} ${element} ${escapeMarkup(count)}`, "text/plain": text };
}

/** How far a long step has come, and who hears of it. */

/** How far a long step has come. `total` is 0 if it is not known. */
export interface Progress {
  /** What is being done, e.g. `"download model.safetensors"`, `"prune"`, `"score hellaswag"`. */
  readonly step: string;
  readonly done: number;
  readonly total: number;
  /** What is counted: `"bytes"`, `"tensors"`, `"documents"`. */
  readonly unit: string;
  /** What else is to be shown now, e.g. `"loss 3.21"`. */
  readonly detail?: string;
}

/** Called often; must be cheap. */
export type OnProgress = (progress: Progress) => void;

/** A surrounding that shows progress and notices by itself; Prunelab's kernel puts one on `globalThis` under the symbol below. */
interface Host {
  readonly onProgress: OnProgress;
  readonly onNotice: (line: string) => void;
}

const hostKey = Symbol.for("prunelab.progress");

function host(): Host | undefined {
  return (globalThis as { [hostKey]?: Host })[hostKey];
}

/** Who hears of a call's progress: who asked for it, else the kernel that the call runs in, if any. */
export function listener(onProgress?: OnProgress): OnProgress | undefined {
  return onProgress ?? host()?.onProgress;
}

const told = new Set<string>();

/** Tells a line that nobody asked for, once a process: a quiet line in a notebook, standard error elsewhere. */
export function notice(line: string): void {
  if (told.has(line)) return;
  told.add(line);
  const { onNotice } = host() ?? {};
  if (onNotice) onNotice(line);
  else process.stderr.write(`${line}\n`);
}

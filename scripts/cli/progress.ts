/** Shows progress on standard error: one line that renews itself in a terminal, else a plain line now and then. */
import { advanceText } from "../../src/base/duration.ts";
import type { OnProgress, Progress } from "../../src/progress.ts";

const plainIntervalMs = 10_000;
const barIntervalMs = 100;
const barWidth = 24;

/** A progress callback for one command; `finish` ends the line that is being renewed. */
export function terminalProgress(stream: NodeJS.WriteStream = process.stderr): {
  onProgress: OnProgress;
  note: (line: string) => void;
  finish: () => void;
} {
  const inTerminal = stream.isTTY === true;
  let step = "";
  let started = 0;
  let offset = 0;
  let shown = 0;
  let open = false;

  const finish = () => {
    if (open) stream.write("\n");
    open = false;
  };
  const onProgress = (progress: Progress) => {
    const now = performance.now();
    if (progress.step !== step) {
      finish();
      step = progress.step;
      started = now;
      // What was there already (a resumed download, cached answers) must not count in the rate.
      offset = progress.done;
      shown = Number.NEGATIVE_INFINITY;
    }
    const isLast = progress.total > 0 && progress.done >= progress.total;
    if (!isLast && now - shown < (inTerminal ? barIntervalMs : plainIntervalMs)) return;
    shown = now;
    const line = describe(progress, offset, (now - started) / 1000);
    if (inTerminal) {
      stream.write(`\r\x1b[K${line.slice(0, (stream.columns ?? 80) - 1)}`);
      open = true;
      if (isLast) finish();
    } else {
      stream.write(`${line}\n`);
    }
  };
  const note = (line: string) => {
    finish();
    stream.write(`${line}\n`);
  };
  return { onProgress, note, finish };
}

function describe({ step, detail, ...progress }: Progress, offset: number, seconds: number): string {
  const { done, total } = progress;
  const text = `${advanceText({ ...progress, offset, seconds })}${detail === undefined ? "" : `, ${detail}`}`;
  if (total <= 0) return `${step}: ${text}`;
  const share = Math.min(1, done / total);
  const bar = "█".repeat(Math.round(share * barWidth)).padEnd(barWidth, "░");
  return `${step} ${bar} ${(100 * share).toFixed(0).padStart(3)} %  ${text}`;
}

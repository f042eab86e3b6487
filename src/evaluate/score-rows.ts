/** An evaluation as flat rows: a score with its interval for each task and metric. */
import type { Evaluation } from "./evaluation.ts";
import { wilsonInterval } from "./statistics.ts";

/** One score, a share in [0, 1] but for perplexities and bits. */
export interface ScoreRow {
  readonly model: string;
  /** lm-eval's name. */
  readonly task: string;
  /** Solved examples before each question. */
  readonly shots: number;
  readonly metric: string;
  /** Documents. */
  readonly n: number;
  readonly score: number;
  /** Ends of Wilson's 95 % interval; null where the score is no share of documents. */
  readonly low: number | null;
  readonly high: number | null;
  /** What weakens the number: `"demo"` documents, or examples that are `"not lm-eval's draw"`; else empty. */
  readonly note: string;
}

/** A row for each metric of each task, in the order of the evaluation. Groups are left out: their tasks are there. */
export function scoreRows({ model, tasks }: Evaluation): ScoreRow[] {
  return tasks.flatMap(({ task, fewshotCount, examples, samples, source, metrics }) =>
    Object.entries(metrics).map(([metric, { value }]) => {
      const rights = samples.map((sample) =>
        "metrics" in sample ? (sample.metrics as Readonly<Record<string, number>>)[metric] : undefined,
      );
      const isShare = rights.every((right) => right === 0 || right === 1);
      const ends = isShare ? wilsonInterval(rights.filter((right) => right === 1).length, samples.length) : null;
      const notes = [
        ...(source.kind === "demo" ? ["demo"] : []),
        ...(examples?.isLmEvalDraw === false ? ["not lm-eval's draw"] : []),
      ];
      return {
        ...{ model: model.name, task: task.task, shots: fewshotCount, metric, n: samples.length, score: value },
        ...{ low: ends?.low ?? null, high: ends?.high ?? null, note: notes.join(", ") },
      };
    }),
  );
}

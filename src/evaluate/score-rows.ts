/** An evaluation as flat rows: a score with its interval for each task and metric. */
import type { Evaluation } from "./evaluation.ts";
import { shareInterval } from "./statistics.ts";

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
  /** Ends of the 95 % interval (Wilson's, exact below 30 documents); null if the score is not a share of documents. */
  readonly low: number | null;
  readonly high: number | null;
  /** What weakens the number: `"demo"` documents, or examples that are `"not lm-eval's draw"`, or a run that was `"stopped when decided"`; else empty. */
  readonly note: string;
}

/** A row for each metric of each task, in the order of the evaluation. Groups are left out: their tasks are there. */
export function scoreRows({ model, tasks }: Evaluation): ScoreRow[] {
  return tasks.flatMap(({ task, fewshotCount, examples, samples, source, metrics, decision }) =>
    Object.entries(metrics).map(([metric, { value }]) => {
      const rights = samples.map((sample) =>
        "metrics" in sample ? (sample.metrics as Readonly<Record<string, number>>)[metric] : undefined,
      );
      const isShare = rights.every((right) => right === 0 || right === 1);
      const ends = isShare ? shareInterval(rights.filter((right) => right === 1).length, samples.length) : null;
      const notes = [
        ...(source.kind === "demo" ? ["demo"] : []),
        ...(examples?.isLmEvalDraw === false ? ["not lm-eval's draw"] : []),
        ...(decision?.saved ? ["stopped when decided"] : []),
      ];
      return {
        ...{ model: model.name, task: task.task, shots: fewshotCount, metric, n: samples.length, score: value },
        ...{ low: ends?.low ?? null, high: ends?.high ?? null, note: notes.join(", ") },
      };
    }),
  );
}

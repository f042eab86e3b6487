/** What scoring a model gives: every document with its answers, and the metrics of tasks and groups. */
import type { LanguageModel, Loglikelihood, LoglikelihoodRequest } from "../model/language-model.ts";
import type { ExampleSource } from "../tasks/examples.ts";
import type { DataSource, Metric, Row, Task, TaskGroup } from "../tasks/task.ts";

/** One model scored on some tasks. */
export interface Evaluation {
  readonly model: Pick<LanguageModel, "name" | "digest" | "parameterCount" | "maxLength" | "specialTokens">;
  /** As given: from 1 on the first so many documents, below 1 that share of them; null is all. */
  readonly limit: number | null;
  /** Where documents were drawn at random. */
  readonly sampled?: { readonly count: number; readonly seed: number };
  readonly startedAt: Date;
  /** Wall time of the whole evaluation. */
  readonly seconds: number;
  /** Answers that came from an earlier run of the same weights. */
  readonly reusedAnswers: number;
  readonly tasks: readonly TaskEvaluation[];
  readonly groups: readonly GroupEvaluation[];
}

/** One task's documents and metrics. */
export interface TaskEvaluation {
  readonly task: Task;
  readonly source: DataSource;
  /** Documents in the split, before the limit. */
  readonly originalCount: number;
  readonly fewshotCount: number;
  /** Where the examples came from; absent without any. */
  readonly examples?: ExampleSource;
  /** In the order of the split. */
  readonly samples: readonly Sample[];
  readonly metrics: Metrics;
}

/** One document: what was asked, what the model answered, and whether that was right. */
export interface Sample {
  /** Index within the split. */
  readonly docId: number;
  /** What the task's `processDoc` made of the row. */
  readonly doc: Row;
  /** Index of the right choice. */
  readonly target: number;
  /** One for each choice. */
  readonly requests: readonly LoglikelihoodRequest[];
  /** In the order of the requests. */
  readonly answers: readonly Loglikelihood[];
  /** 1 or 0 for each of the task's metrics. */
  readonly metrics: Partial<Record<Metric, number>>;
}

/** A group of tasks, scored as one. Contains only the tasks that were evaluated. */
export interface GroupEvaluation {
  readonly group: TaskGroup;
  /** Names of the tasks below it, through inner groups. */
  readonly tasks: readonly string[];
  /** Documents over all its tasks. */
  readonly sampleCount: number;
  readonly metrics: Metrics;
}

/** Mean over the documents, in [0, 1], and its standard error; null where one document or none allows no error. */
export type Metrics = Partial<Record<Metric, { readonly value: number; readonly stderr: number | null }>>;

/** What scoring a model gives: every document with its answers, and the metrics of tasks and groups. */
import type { GenerationRequest, LanguageModel, Loglikelihood, LoglikelihoodRequest } from "../model/language-model.ts";
import type { ExampleSource } from "../tasks/examples.ts";
import type { ChoiceTask, DataSource, GenerationTask, Metric, RollingTask, Row, TaskGroup } from "../tasks/task.ts";

/** One model scored on some tasks. */
export interface Evaluation {
  readonly model: Pick<LanguageModel, "name" | "digest" | "device" | "parameterCount" | "maxLength" | "specialTokens">;
  /** As given: from 1 on the first so many documents, below 1 that share of them; null is all. */
  readonly limit: number | null;
  /** Where documents were drawn at random. */
  readonly sampled?: { readonly count: number; readonly seed: number };
  /** What was put around the documents; absent where nothing was. */
  readonly prompting?: {
    readonly systemInstruction?: string;
    /** The template's text, and whether examples were turns of their own. */
    readonly chatTemplate?: string;
    readonly fewshotAsMultiturn?: boolean;
  };
  readonly startedAt: Date;
  /** Wall time of the whole evaluation. */
  readonly seconds: number;
  /** Answers that came from an earlier run of the same weights. */
  readonly reusedAnswers: number;
  readonly tasks: readonly TaskEvaluation[];
  readonly groups: readonly GroupEvaluation[];
}

/** One task's documents and metrics. */
export type TaskEvaluation = ChoiceEvaluation | GenerationEvaluation | RollingEvaluation;

interface BaseEvaluation {
  readonly source: DataSource;
  /** Documents in the split, before the limit. */
  readonly originalCount: number;
  readonly fewshotCount: number;
  /** Where the examples came from; absent without any. */
  readonly examples?: ExampleSource;
  readonly metrics: Metrics;
}

/** A task of multiple choice. Samples are in the order of the split. */
export interface ChoiceEvaluation extends BaseEvaluation {
  readonly outputType: "multiple_choice";
  readonly task: ChoiceTask;
  readonly samples: readonly ChoiceSample[];
}

/** A task whose answers the model wrote. */
export interface GenerationEvaluation extends BaseEvaluation {
  readonly outputType: "generate_until";
  readonly task: GenerationTask;
  readonly samples: readonly GenerationSample[];
}

/** A task of whole texts. */
export interface RollingEvaluation extends BaseEvaluation {
  readonly outputType: "loglikelihood_rolling";
  readonly task: RollingTask;
  readonly samples: readonly RollingSample[];
}

/** One document: what was asked, what the model answered, and how that was rated. */
export type Sample = ChoiceSample | GenerationSample | RollingSample;

interface BaseSample {
  /** Index within the split. */
  readonly docId: number;
  /** What the task's `processDoc` made of the row. */
  readonly doc: Row;
}

export interface ChoiceSample extends BaseSample {
  /** Index of the right choice. */
  readonly target: number;
  /** One for each choice. */
  readonly requests: readonly LoglikelihoodRequest[];
  /** In the order of the requests. */
  readonly answers: readonly Loglikelihood[];
  /** 1 or 0 for each of the task's metrics. */
  readonly metrics: Partial<Record<Metric, number>>;
}

export interface GenerationSample extends BaseSample {
  /** All right answers. */
  readonly targets: readonly string[];
  readonly request: GenerationRequest;
  readonly answer: string;
  /** The answer as it was compared, but for case and punctuation. */
  readonly filtered: string;
  /** 1 or 0 for each of the task's metrics. */
  readonly metrics: Partial<Record<Metric, number>>;
}

export interface RollingSample extends BaseSample {
  /** What was scored. */
  readonly text: string;
  /** Natural-log probability of the whole text. */
  readonly loglikelihood: number;
  /** Of the text as it was before the task's changes: parts between white space, and bytes of UTF-8. */
  readonly words: number;
  readonly bytes: number;
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

/** Mean over the documents, in [0, 1] (but for perplexities and bits), and its standard error; null where there is none. */
export type Metrics = Partial<Record<Metric, { readonly value: number; readonly stderr: number | null }>>;

/** What one of lm-eval's output types is: how documents are asked, how answers are rated, and what lm-eval's files say of them. */
import type { Row } from "../../datasets/source.ts";
import { PrunelabError } from "../../errors.ts";
import type { Journal, LanguageModel, Loglikelihood } from "../../model/language-model.ts";
import type { OnProgress } from "../../progress.ts";
import type { BaseTask } from "../task.ts";
import type { Part, PromptOptions } from "./prompt.ts";

/** One document: what was asked, what the model answered, and how that was rated. */
export interface BaseSample {
  /** Index within the split. */
  readonly docId: number;
  /** What the task's `processDoc` made of the row. */
  readonly doc: Row;
}

/** lm-eval's name of how documents' values become one; of the perplexities and of bits, less is better. */
export type Aggregation = "mean" | "weighted_perplexity" | "bits_per_byte";

/** A value over all documents, in [0, 1] (but for perplexities and bits), and its standard error; null if there is none. */
export interface Score {
  readonly value: number;
  readonly stderr: number | null;
}

/** Where answers are kept, by what they are. */
export interface AnswerJournals {
  readonly sums: Journal<Loglikelihood>;
  readonly texts: Journal<string>;
}

export interface AskingOptions {
  readonly answers: AnswerJournals;
  readonly onProgress?: OnProgress;
}

/** What a samples file says of a document beside its own fields. */
export interface Line {
  readonly target: string;
  /** For each request the context first. */
  readonly requests: readonly (readonly [string, ...unknown[]])[];
  readonly resps: readonly (readonly [string | readonly [string, string]])[];
  readonly filtered_resps: readonly (string | readonly [string, string])[];
  readonly metrics: Readonly<Record<string, unknown>>;
}

/** What a results file's `configs` say of a task beside what all tasks have. */
export interface OutputConfig {
  /** In each entry of `metric_list`. */
  readonly matching?: Readonly<Record<string, boolean>>;
  readonly generation_kwargs?: Readonly<Record<string, unknown>>;
  readonly filter_list?: readonly Readonly<Record<string, unknown>>[];
}

export interface OutputType<Task extends BaseTask, Sample extends BaseSample, Request, Answer> {
  /** What can be measured. */
  readonly metrics: Readonly<Record<Task["metrics"][number], Aggregation>>;
  /** Throws a PrunelabError on a document that cannot be asked or rated, before anything is asked. */
  check(task: Task, doc: Row): void;
  /** The document with its right answer, as an example before others. Absent: no examples stand before documents of this type. */
  solved?(task: Task, doc: Row): readonly Part[];
  /** What a document asks of the model. */
  requests(task: Task, doc: Row, options?: PromptOptions): readonly Request[];
  /** The model's answers, one for each request. */
  ask(model: LanguageModel, requests: readonly Request[], options: AskingOptions): Promise<Answer[]>;
  /** A document with its requests, answers and what they are worth. */
  rate(task: Task, document: BaseSample, requests: readonly Request[], answers: readonly Answer[]): Sample;
  /** The task's metrics over its samples. */
  total(task: Task, samples: readonly Sample[]): Readonly<Partial<Record<Task["metrics"][number], Score>>>;
  /** What a samples file says of a document. */
  line(task: Task, sample: Sample): Line;
  /** The filter in the metrics' keys; "none" unless given. */
  filter?(task: Task): string;
  config?(task: Task): OutputConfig;
}

/** Refuses what is not a text, with the name of the task's function that gave it. */
export function checkText(value: unknown, what: string, from: string): asserts value is string {
  if (typeof value === "string") return;
  throw new PrunelabError(`${what} must be a text: ${shown(value)}; correct the row or ${from}`);
}

/** Refuses what is not a list of texts, at least one. */
export function checkTexts(value: unknown, what: string, from: string): asserts value is readonly string[] {
  if (!Array.isArray(value))
    throw new PrunelabError(`${what} must be a list: ${shown(value)}; correct the row or ${from}`);
  for (const item of value) checkText(item, `each of ${what}`, from);
}

function shown(value: unknown): string {
  const text = typeof value === "function" ? "a function" : (JSON.stringify(value) ?? String(value));
  return `${text.length > 80 ? `${text.slice(0, 80)}…` : text}${typeof value === "number" ? " (a number)" : ""}`;
}

/** What a benchmark is: an object of data and small pure functions, in lm-evaluation-harness's terms. */
import type { DatasetRef, Row } from "../datasets/source.ts";

export type { DataSource, Row } from "../datasets/source.ts";

/**
 * What is measured. Of multiple choice `acc` and `acc_norm`, which divides a log-likelihood by the choice's length in characters;
 * of generation `exact_match`; of whole texts perplexity by words and by bytes, and its logarithm by 2.
 */
export type Metric = "acc" | "acc_norm" | "exact_match" | "word_perplexity" | "byte_perplexity" | "bits_per_byte";

/** A benchmark of one of lm-eval's output types. */
export type Task = ChoiceTask | GenerationTask | RollingTask;

/**
 * What all benchmarks have. `Doc` is what `processDoc` makes of a row as the Hub serves it.
 * (The functions are written as methods, so that a task with a narrow `Doc` is a `Task`.)
 */
interface BaseTask<Doc extends Row> {
  /** lm-eval's task name. */
  readonly task: string;
  /** Name in tables, where it is another. */
  readonly task_alias?: string;
  /** lm-eval's version of the task; printed as a float. */
  readonly version: number;
  /** The Hub's id and configuration; or with `files` the user's own JSON Lines, by split. */
  readonly dataset: {
    readonly path: string;
    readonly name?: string;
    readonly files?: Readonly<Record<string, string>>;
  };
  /** Split names; the documents scored are those of `test`, else of `validation`. */
  readonly splits: {
    readonly training?: string;
    readonly validation?: string;
    readonly test?: string;
    /** Where examples come from; without it lm-eval draws from `training`, else `validation`. */
    readonly fewshot?: string;
  };
  /** How examples are drawn: lm-eval's seeded draw (default), or the first n. */
  readonly fewshotSampler?: "default" | "first_n";
  /** Text before everything else, with its own line ends. */
  readonly description?: string;
  /** Checks a row and gives the document that samples files carry; throws a PrunelabError on a malformed row. */
  processDoc(row: Row): Doc;
  readonly metrics: readonly Metric[];
  /** lm-eval's own templates, for the `configs` of a results file: they say in its language what the functions do. Their source unless given. */
  readonly config?: {
    readonly process_docs?: string;
    readonly doc_to_text: string;
    readonly doc_to_choice?: string | readonly string[];
    readonly doc_to_target: string;
    readonly process_results?: string;
    readonly doc_to_decontamination_query?: string;
  };
}

/** Multiple choice: a document with n choices becomes n questions: how likely is `" " + choice` after the context? */
export interface ChoiceTask<Doc extends Row = Row> extends BaseTask<Doc> {
  readonly outputType: "multiple_choice";
  /** The context, or one for each choice where the choices stand in the context (WinoGrande). */
  docToText(doc: Doc): string | readonly string[];
  /** The continuations, without the space between context and continuation. */
  docToChoice(doc: Doc): readonly string[];
  /** Index of the right choice. */
  docToTarget(doc: Doc): number;
  /** What samples files call the target, where that is not the index. */
  targetText?(doc: Doc): string;
}

/** A text that the model writes, right where it equals one of the targets. */
export interface GenerationTask<Doc extends Row = Row> extends BaseTask<Doc> {
  readonly outputType: "generate_until";
  docToText(doc: Doc): string;
  /** All right answers; the first one solves the document as an example. */
  docToTarget(doc: Doc): readonly string[];
  /** The text ends before the first of these. */
  readonly until: readonly string[];
  /** What is done to the text before it is compared; lm-eval's name of the filter. */
  readonly filter: "remove_whitespace";
  /** How texts are compared: both sides in lower case, and without ASCII punctuation. */
  readonly matching: { readonly ignore_case: boolean; readonly ignore_punctuation: boolean };
}

/** The likelihood of whole texts. */
export interface RollingTask<Doc extends Row = Row> extends BaseTask<Doc> {
  readonly outputType: "loglikelihood_rolling";
  /** The text that is scored. */
  docToTarget(doc: Doc): string;
  /** The text whose words and bytes are counted. */
  docToCount(doc: Doc): string;
}

/** Tasks whose scores are also given as one: the mean weighted by size, with a pooled standard error. */
export interface TaskGroup {
  readonly group: string;
  readonly group_alias?: string;
  readonly version: number;
  /** Names of tasks or of further groups. */
  readonly members: readonly string[];
  readonly metrics: readonly Metric[];
}

/** The rows that a task scores. */
export function scoredRows(task: Pick<Task, "dataset" | "splits" | "task">): DatasetRef {
  const split = task.splits.test ?? task.splits.validation;
  if (split === undefined) throw new TypeError(`task without a test or validation split: ${task.task}`);
  return { ...task.dataset, split };
}

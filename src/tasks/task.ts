/** What a benchmark is: an object of data and small pure functions, in lm-evaluation-harness's terms. */
import type { DatasetRef, Row } from "../datasets/source.ts";

export type { DataSource, Row } from "../datasets/source.ts";

/** A metric of multiple choice; `acc_norm` divides a log-likelihood by the choice's length in characters. */
export type Metric = "acc" | "acc_norm";

/**
 * A multiple-choice benchmark. `Doc` is what `processDoc` makes of a row as the Hub serves it.
 *
 * A document with n choices becomes n questions: how likely is `" " + choice` after the context?
 * (The functions are written as methods, so that a task with a narrow `Doc` is a `Task`.)
 */
export interface Task<Doc extends Row = Row> {
  /** lm-eval's task name. */
  readonly task: string;
  /** Name in tables, where it is another. */
  readonly task_alias?: string;
  /** lm-eval's version of the task; printed as a float. */
  readonly version: number;
  readonly dataset: { readonly path: string; readonly name?: string };
  /** Split names; the documents scored are those of `test`, else of `validation`. */
  readonly splits: {
    readonly training?: string;
    readonly validation?: string;
    readonly test?: string;
    /** Where examples come from; without it lm-eval draws from `training`, else `validation`. */
    readonly fewshot?: string;
  };
  /** How examples are drawn: lm-eval's seeded draw, or the first n. */
  readonly fewshotSampler: "default" | "first_n";
  /** Text before everything else, with its own line ends. */
  readonly description?: string;
  /** Checks a row and gives the document that samples files carry; throws a PrunelabError on a malformed row. */
  processDoc(row: Row): Doc;
  /** The context, or one for each choice where the choices stand in the context (WinoGrande). */
  docToText(doc: Doc): string | readonly string[];
  /** The continuations, without the space between context and continuation. */
  docToChoice(doc: Doc): readonly string[];
  /** Index of the right choice. */
  docToTarget(doc: Doc): number;
  /** What samples files call the target, where that is not the index. */
  targetText?(doc: Doc): string;
  readonly metrics: readonly Metric[];
  /** lm-eval's own templates, for the `configs` of a results file: they say in its language what the functions above do. */
  readonly config: {
    readonly process_docs?: string;
    readonly doc_to_text: string;
    readonly doc_to_choice: string | readonly string[];
    readonly doc_to_target: string;
    readonly doc_to_decontamination_query?: string;
  };
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

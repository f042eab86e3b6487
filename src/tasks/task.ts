/** What a benchmark is: an object of data and small pure functions, in lm-evaluation-harness's terms. */
import type { FolderLayout } from "../datasets/folder.ts";
import type { DatasetRef, Row } from "../datasets/source.ts";

/**
 * What all benchmarks have. `Doc` is what `processDoc` makes of a row as the Hub serves it, `Metric` what its output type measures.
 * (The functions are written as methods, so that a task with a narrow `Doc` is a `Task`.)
 */
export interface BaseTask<Doc extends Row = Row, Metric extends string = string> {
  /** lm-eval's task name. */
  readonly task: string;
  /** The benchmark's name as people write it, e.g. "HellaSwag"; `task` unless given. */
  readonly label?: string;
  /** Name in lm-eval's tables, if it is another than `task`. */
  readonly task_alias?: string;
  /** lm-eval's version of the task; printed as a float. */
  readonly version: number;
  /** The Hub's id and configuration, and how the set's own files lie in a folder; or with `files` the user's own JSON Lines, by split. */
  readonly dataset: {
    readonly path: string;
    readonly name?: string;
    readonly folder?: FolderLayout;
    readonly files?: Readonly<Record<string, string>>;
  };
  /** Split names; the documents scored are those of `test`, else of `validation`. */
  readonly splits: {
    readonly training?: string;
    readonly validation?: string;
    readonly test?: string;
    /** The split of the examples; without it lm-eval draws from `training`, else `validation`. */
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

/** The rows that a task scores. */
export function scoredRows(task: Pick<BaseTask, "dataset" | "splits" | "task">): DatasetRef {
  const split = task.splits.test ?? task.splits.validation;
  if (split === undefined) throw new TypeError(`task without a test or validation split: ${task.task}`);
  return { ...task.dataset, split };
}

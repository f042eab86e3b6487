/** Where a task's rows are on the Hub. */
export interface DatasetRef {
  /** Hub id, e.g. `"Rowan/hellaswag"`. */
  readonly path: string;
  /** The set's configuration, e.g. an MMLU subject. */
  readonly name?: string;
  readonly split: string;
}

/** A multiple-choice benchmark as data, in lm-evaluation-harness's terms. `Row` is a row as the Hub serves it. */
export interface Task<Row = Record<string, unknown>, Doc = Row> {
  /** lm-eval's task name. */
  readonly task: string;
  readonly task_alias?: string;
  readonly version: number;
  readonly dataset: DatasetRef;
  readonly description?: string;
  /** Checks a row and gives the document that samples files carry; throws a PrunelabError on a malformed row. */
  readonly processDoc: (row: Row) => Doc;
  readonly docToText: (doc: Doc) => string;
  readonly docToChoice: (doc: Doc) => readonly string[];
  /** Index of the right choice. */
  readonly docToTarget: (doc: Doc) => number;
  readonly metrics: readonly ("acc" | "acc_norm")[];
  /** Where the texts come from, for the results file: lm-eval's templates in words. */
  readonly config: { readonly doc_to_text: string; readonly doc_to_choice: string; readonly doc_to_target: string };
}

/** The solved examples before a question, drawn as lm-eval draws them. */
import { isDeepStrictEqual } from "node:util";
import { atPlace } from "../datasets/fields.ts";
import { type LoadRowsOptions, loadRows, NoRowsError } from "../datasets/load-rows.ts";
import type { DataSource, PlacedRow, Row } from "../datasets/source.ts";
import { PrunelabError } from "../errors.ts";
import { pythonRandom } from "../python/random.ts";
import { type Task as AnyTask, readDoc } from "./output-types/output-types.ts";
import { scoredRows } from "./task.ts";

/** A task that asks questions, so that solved ones may stand before them. */
type Task = Extract<AnyTask, { docToText: unknown }>;

/** lm-eval's seed for examples. */
const SEED = 1234;
/** Rows kept back for examples at most, if none but scored ones are available. */
const KEPT_BACK = 100;

/** Where a task's examples come from. */
export interface ExampleSource {
  readonly source: DataSource;
  /** Whether they are the very ones that lm-eval draws: only then is the number lm-eval's. */
  readonly isLmEvalDraw: boolean;
}

/** A task's examples, to be drawn document by document in the split's order. */
export interface Examples extends ExampleSource {
  /** The documents before the next one to be scored; each call goes on in the stream of random numbers. */
  draw(doc: Row): readonly Row[];
}

/** A split, and which of its rows are scored. */
export interface ScoredSplit {
  readonly rows: readonly PlacedRow[];
  readonly source: DataSource;
  readonly scored: readonly number[];
}

/**
 * Finds the rows that examples are drawn from: lm-eval's split (its `fewshot_split`, else training, validation, test) or, where
 * that is not available, rows of the scored split that are not scored, the last tenth if need be.
 *
 * @returns The examples, and the indices of the rows that are scored after some were kept back.
 * @throws PrunelabError if there are fewer rows than examples.
 */
export async function loadExamples(
  task: Task,
  count: number,
  split: ScoredSplit,
  options: LoadRowsOptions,
): Promise<{ examples: Examples; scored: readonly number[] }> {
  const { training, validation, test, fewshot } = task.splits;
  const name = fewshot ?? training ?? validation ?? test!;
  // lm-eval 0.4.13 compares with `test_split`, also where validation is scored: then one more is drawn from training too.
  const lmEvalRemoves = (fewshot ?? null) === (test ?? null);
  // It may also show a document its own answer, where the scored split is all there is; that we leave out.
  const removesOwn = lmEvalRemoves || name === scoredRows(task).split;
  let pool: { rows: readonly PlacedRow[]; source: DataSource } | undefined;
  if (name === scoredRows(task).split) pool = split;
  else pool = await loadRows({ ...task.dataset, split: name }, options).catch(notAtHand);
  if (pool && pool.rows.length >= count + Number(removesOwn)) {
    const draw = drawer(task, count, pool.rows, removesOwn);
    const isLmEvalDraw = pool.source.complete && removesOwn === lmEvalRemoves;
    return { examples: { source: pool.source, isLmEvalDraw, draw }, scored: split.scored };
  }
  const scored = keepBack(task, count, split);
  const rows = unscoredRows(task, split.rows, scored);
  if (rows.length < count || scored.length === 0) {
    throw new PrunelabError(
      `too few rows for ${count} examples: ${task.task} has ${split.rows.length} in all, and examples must not be scored; ask for fewer or give a smaller limit`,
    );
  }
  const draw = drawer(task, count, rows, false);
  return { examples: { source: split.source, isLmEvalDraw: false, draw }, scored };
}

function notAtHand(error: unknown): undefined {
  if (!(error instanceof NoRowsError)) throw error;
}

/** lm-eval's samplers (`api/samplers.py`: `ContextSampler.sample`, `FirstNSampler.sample`). */
function drawer(task: Task, count: number, rows: readonly PlacedRow[], removesOwn: boolean): Examples["draw"] {
  const random = pythonRandom(SEED);
  const processed: Row[] = [];
  const docAt = (index: number) => {
    processed[index] ??= readDoc(task, rows[index]!);
    return processed[index]!;
  };
  const others = (indices: readonly number[], doc: Row) =>
    indices
      .map(docAt)
      .filter((example) => !isDeepStrictEqual(example, doc))
      .slice(0, count);
  const all = rows.map((_, index) => index);
  if (task.fewshotSampler === "first_n") {
    return (doc) => enough(task, count, removesOwn ? others(all, doc) : all.slice(0, count).map(docAt));
  }
  return (doc) => {
    if (!removesOwn) return random.sample(rows.length, count).map(docAt);
    const drawn = others(random.sample(rows.length, count + 1), doc);
    if (drawn.length === count) return drawn;
    // Several rows equal to the document were drawn and removed.
    const different = all.filter((index) => !isDeepStrictEqual(docAt(index), doc));
    if (different.length < count) return enough(task, count, different.map(docAt));
    return random.sample(different.length, count).map((index) => docAt(different[index]!));
  };
}

function enough(task: Task, count: number, docs: readonly Row[]): readonly Row[] {
  if (docs.length === count) return docs;
  throw new PrunelabError(`too few rows for ${count} examples: ${task.task} has ${docs.length}; ask for fewer`);
}

/** The rows still scored once enough are free for examples. */
function keepBack(task: Task, count: number, { rows, scored }: ScoredSplit): readonly number[] {
  const free = unscoredRows(task, rows, scored).length;
  if (free >= count) return scored;
  const kept = Math.max(count, Math.min(KEPT_BACK, Math.ceil(rows.length / 10)));
  return scored.filter((index) => index < rows.length - kept);
}

/** Rows that are not scored and whose documents equal none that is. */
function unscoredRows(task: Task, rows: readonly PlacedRow[], scored: readonly number[]): readonly PlacedRow[] {
  const textOf = ({ row, place }: PlacedRow) =>
    JSON.stringify(atPlace(place, () => task.docToText(task.processDoc(row))));
  const indices = new Set(scored);
  const texts = new Set(scored.map((index) => textOf(rows[index]!)));
  return rows.filter((row, index) => !indices.has(index) && !texts.has(textOf(row)));
}

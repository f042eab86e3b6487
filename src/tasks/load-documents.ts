/** A task's documents, checked and ready to ask. */
import { type LoadRowsOptions, loadRows } from "../datasets/load-rows.ts";
import type { DataSource, Row } from "../datasets/source.ts";
import { PrunelabError } from "../errors.ts";
import { pythonRandom } from "../python/random.ts";
import { type Examples, loadExamples } from "./examples.ts";
import { readDoc, type Task } from "./output-types/output-types.ts";
import { scoredRows } from "./task.ts";

/** Of random subsets. */
export const defaultSeed = 1234;

export interface LoadDocumentsOptions extends LoadRowsOptions {
  /** As in lm-eval: from 1 on the first so many documents, below 1 that share of them, rounded up; null for all. */
  readonly limit?: number | null;
  /** So many documents drawn at random instead, the same ones for the same seed; a task with fewer is scored whole. */
  readonly samples?: number | null;
  /** Of `samples`; an integer from 0, 1234 unless given. Python's `sorted(Random(seed).sample(range(documents), samples))`. */
  readonly seed?: number;
  /** Solved examples before each question; none unless given, and none before whole texts. */
  readonly numFewshot?: number;
}

/** The documents that a limit leaves of a split, in its order. */
export interface Documents {
  readonly docs: readonly Row[];
  /** Each document's index within the split. */
  readonly docIds: readonly number[];
  readonly source: DataSource;
  /** Documents in the split, before the limit. */
  readonly originalCount: number;
  /** Null without examples. */
  readonly examples: Examples | null;
}

/**
 * What can be said of a selection before any row is read.
 *
 * @throws PrunelabError if its numbers make no sense, or exclude each other.
 */
export function checkSelection({
  limit = null,
  samples = null,
  seed = defaultSeed,
  numFewshot = 0,
}: LoadDocumentsOptions): void {
  if (!Number.isInteger(numFewshot) || numFewshot < 0) {
    throw new PrunelabError(`number of examples must be an integer from 0: ${numFewshot}; 0 is zero-shot`);
  }
  if (samples === null) {
    if (limit === null || limit > 0) return;
    throw new PrunelabError(`limit must be above 0: ${limit}; leave it out to score all documents`);
  }
  if (limit !== null) throw new PrunelabError("limit and samples exclude each other; give one of them");
  if (!Number.isInteger(samples) || samples < 1) {
    throw new PrunelabError(`samples must be an integer from 1: ${samples}; leave it out to score all documents`);
  }
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new PrunelabError(`invalid seed; an integer from 0 to 4294967295: ${seed}; choose e.g. 1234`);
  }
}

/**
 * Reads and checks the documents that a task scores. Rows past the limit are not checked.
 *
 * @throws PrunelabError if a row is malformed, with its file and line, or no source has the rows.
 */
export async function loadDocuments(
  task: Task,
  { limit = null, samples = null, seed = defaultSeed, numFewshot = 0, ...options }: LoadDocumentsOptions = {},
): Promise<Documents> {
  checkSelection({ limit, samples, seed, numFewshot });
  const { rows, source } = await loadRows(scoredRows(task), options);
  if (rows.length === 0) throw new PrunelabError(`no documents: ${source.where} is empty; get the file again`);
  const wanted = samples === null ? firstWithin(limit, rows.length) : drawnOf(rows.length, samples, seed);
  const { examples, scored } =
    numFewshot === 0 || !("docToText" in task)
      ? { examples: null, scored: wanted }
      : await loadExamples(task, numFewshot, { rows, source, scored: wanted }, options);
  const docs = scored.map((index) => readDoc(task, rows[index]!));
  return { docs, docIds: scored, source, originalCount: rows.length, examples };
}

function firstWithin(limit: number | null, count: number): number[] {
  const wanted = limit === null ? count : limit < 1 ? Math.ceil(count * limit) : Math.trunc(limit);
  return Array.from({ length: Math.min(wanted, count) }, (_, index) => index);
}

function drawnOf(count: number, samples: number, seed: number): number[] {
  return pythonRandom(seed)
    .sample(count, Math.min(samples, count))
    .sort((a, b) => a - b);
}

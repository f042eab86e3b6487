/** A task's documents, checked and ready to ask. */

import { atPlace } from "../datasets/fields.ts";
import { type LoadRowsOptions, loadRows } from "../datasets/load-rows.ts";
import type { DataSource, Row } from "../datasets/source.ts";
import { PrunelabError } from "../errors.ts";
import { scoredRows, type Task } from "./task.ts";

export interface LoadDocumentsOptions extends LoadRowsOptions {
  /** As in lm-eval: from 1 on the first so many documents, below 1 that share of them, rounded up; null for all. */
  readonly limit?: number | null;
}

/** The documents that a limit leaves of a split, in its order. */
export interface Documents {
  readonly docs: readonly Row[];
  readonly source: DataSource;
  /** Documents in the split, before the limit. */
  readonly originalCount: number;
}

/**
 * Reads and checks the documents that a task scores. Rows past the limit are not checked.
 *
 * @throws PrunelabError where a row is malformed, with its file and line, or no source has the rows.
 */
export async function loadDocuments(
  task: Task,
  { limit = null, ...options }: LoadDocumentsOptions = {},
): Promise<Documents> {
  const { rows, source } = await loadRows(scoredRows(task), options);
  if (rows.length === 0) throw new PrunelabError(`no documents: ${source.where} is empty; get the file again`);
  const docs = rows
    .slice(0, countWithin(limit, rows.length))
    .map(({ row, place }) => atPlace(place, () => task.processDoc(row)));
  return { docs, source, originalCount: rows.length };
}

function countWithin(limit: number | null, count: number): number {
  if (limit === null) return count;
  if (!(limit > 0)) throw new PrunelabError(`limit must be above 0: ${limit}; leave it out to score all documents`);
  return limit < 1 ? Math.ceil(count * limit) : Math.trunc(limit);
}

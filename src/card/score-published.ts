/** Measures the benchmarks of a published table, each with the number of examples that the table names. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { type EvaluateOptions, evaluate } from "../evaluate/evaluate.ts";
import { type ScoreRow, scoreRows } from "../evaluate/score-rows.ts";
import { loadLanguageModel } from "../model/load.ts";
import type { PublishedTable } from "./published.ts";

/**
 * A row for each metric of each benchmark that Prunelab has; others are left out. Of a table of chat models, prompts go through the model's chat
 * template unless `applyChatTemplate` is false. Answers of earlier runs are taken from the cache.
 *
 * @throws PrunelabError if a benchmark's documents cannot be had, or the model of a chat table has no chat template.
 */
export async function scorePublished(
  checkpoint: Checkpoint,
  table: PublishedTable,
  options: Omit<EvaluateOptions, "numFewshot"> = {},
): Promise<ScoreRow[]> {
  const model = await loadLanguageModel(checkpoint);
  try {
    const rows: ScoreRow[] = [];
    for (const { task, numFewshot } of table.rows) {
      if (task === undefined || numFewshot === undefined) continue;
      rows.push(
        ...scoreRows(
          await evaluate(model, [task], { applyChatTemplate: table.isChat === true, ...options, numFewshot }),
        ),
      );
    }
    return rows;
  } finally {
    await model.release();
  }
}

/** Scores a model, and shows what came out as lm-eval's table, in a terminal and in a notebook. */

import { type EvaluateOptions, evaluate as evaluateTasks } from "../evaluate/evaluate.ts";
import type { Evaluation } from "../evaluate/evaluation.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { Task } from "../tasks/task.ts";
import { display } from "./display-name.ts";
import { resultsTable } from "./results-table.ts";

export interface ShownEvaluation extends Evaluation {
  /** lm-eval's table, in Markdown. */
  toString(): string;
  [display](): Record<"text/plain" | "text/markdown", string>;
}

/**
 * Scores a model on tasks and groups of lm-evaluation-harness (0.4.13's rules), zero-shot unless `numFewshot` is given. A run that was
 * stopped goes on at its last finished batch: answers are kept in the cache by the digests of the weights and of the batch's tokens.
 *
 * @param tasks lm-eval's names, e.g. `["hellaswag", "mmlu"]`, and tasks of your own, which are literal objects.
 * @throws PrunelabError when a task is unknown or its documents cannot be had.
 */
export async function evaluate(
  model: LanguageModel,
  tasks: readonly (string | Task)[],
  options: EvaluateOptions = {},
): Promise<ShownEvaluation> {
  const evaluation = await evaluateTasks(model, tasks, options);
  const table = resultsTable(evaluation);
  return {
    ...evaluation,
    toString: () => table,
    [display]: () => ({ "text/plain": table, "text/markdown": table }),
  };
}

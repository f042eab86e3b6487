/** Scores a checkpoint in one step: loads it as a language model, evaluates it, and lets its memory go. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { loadLanguageModel } from "../model/load.ts";
import { evaluate, type ShownEvaluation } from "../report/evaluate.ts";
import type { Task } from "../tasks/task.ts";
import type { EvaluateOptions } from "./evaluate.ts";

/**
 * `loadLanguageModel`, `evaluate` and `release` for a model that is scored once. What an earlier run of the same weights has answered is
 * taken from the cache.
 *
 * @throws PrunelabError as those do.
 */
export async function evaluateCheckpoint(
  checkpoint: Checkpoint,
  tasks: readonly (string | Task)[],
  options: EvaluateOptions = {},
): Promise<ShownEvaluation> {
  const { onProgress } = options;
  const model = await loadLanguageModel(checkpoint, onProgress ? { onProgress } : {});
  try {
    return await evaluate(model, tasks, options);
  } finally {
    await model.release();
  }
}

/** Scores a model on benchmarks: documents to requests, requests to answers, answers to metrics. */
import { join } from "node:path";
import { cacheFolder } from "../files/cache-folder.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { OnProgress } from "../progress.ts";
import { findTasks } from "../tasks/find-tasks.ts";
import { defaultSeed, type LoadDocumentsOptions, loadDocuments } from "../tasks/load-documents.ts";
import { openAnswerCache } from "./answer-cache.ts";
import { evaluateTask } from "./evaluate-task.ts";
import type { Evaluation, TaskEvaluation } from "./evaluation.ts";
import { groupEvaluations } from "./metrics.ts";

export interface EvaluateOptions extends LoadDocumentsOptions {
  readonly onProgress?: OnProgress;
  /** Ask the model everything, also what an earlier run of these weights has answered; the answers are kept all the same. */
  readonly fresh?: boolean;
}

/**
 * Scores a model on tasks and groups of lm-evaluation-harness (0.4.13's rules), zero-shot unless `numFewshot` is given. A run that was stopped goes on at its last
 * finished batch: answers are kept in the cache by the digests of the weights and of the batch's tokens.
 *
 * @param tasks lm-eval's names, e.g. `["hellaswag", "mmlu"]`.
 * @throws PrunelabError when a task is unknown or its documents cannot be had.
 */
export async function evaluate(
  model: LanguageModel,
  tasks: readonly string[],
  { onProgress, fresh = false, ...options }: EvaluateOptions = {},
): Promise<Evaluation> {
  const startedAt = new Date();
  const started = performance.now();
  const found = findTasks(tasks);
  // All documents are read and checked before the first is scored: a malformed row should not cost minutes.
  const documents = await Promise.all(found.tasks.map((task) => loadDocuments(task, options)));
  const cache = await openAnswerCache(join(cacheFolder("answers"), `${model.digest}.jsonl`), { fresh });
  const evaluated: TaskEvaluation[] = [];
  try {
    for (const [index, task] of found.tasks.entries()) {
      evaluated.push(await evaluateTask(task, documents[index]!, { model, cache, onProgress }));
    }
  } finally {
    await cache.close();
  }
  const { name, digest, parameterCount, maxLength, specialTokens } = model;
  return {
    model: { name, digest, parameterCount, maxLength, specialTokens },
    limit: options.limit ?? null,
    ...(options.samples && { sampled: { count: options.samples, seed: options.seed ?? defaultSeed } }),
    startedAt,
    seconds: (performance.now() - started) / 1000,
    reusedAnswers: cache.reused(),
    tasks: evaluated,
    groups: groupEvaluations(found.groups, evaluated),
  };
}

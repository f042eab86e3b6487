/** Scores a model on benchmarks: documents to requests, requests to answers, answers to metrics. */
import { join } from "node:path";
import { PrunelabError } from "../errors.ts";
import { cacheFolder } from "../hub/cache-folder.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { listener, type OnProgress } from "../progress.ts";
import { findTasks } from "../tasks/find-tasks.ts";
import { defaultSeed, type LoadDocumentsOptions, loadDocuments } from "../tasks/load-documents.ts";
import type { Task } from "../tasks/task.ts";
import { openAnswerCache } from "./answer-cache.ts";
import { evaluateTask } from "./evaluate-task.ts";
import type { Evaluation, TaskEvaluation } from "./evaluation.ts";
import { groupEvaluations } from "./metrics.ts";

export interface EvaluateOptions extends LoadDocumentsOptions {
  readonly onProgress?: OnProgress;
  /** Ask the model everything, also what an earlier run of these weights has answered; the answers are kept all the same. */
  readonly fresh?: boolean;
  /** Stands before everything else. */
  readonly systemInstruction?: string;
  /** Puts each prompt as a chat by the model's own template. */
  readonly applyChatTemplate?: boolean;
  /** With a chat template: whether examples are turns of their own (default) or part of the one question. */
  readonly fewshotAsMultiturn?: boolean;
}

/** What the public `evaluate` does, but for how its result is shown. */
export async function evaluate(
  model: LanguageModel,
  tasks: readonly (string | Task)[],
  {
    onProgress,
    fresh = false,
    systemInstruction,
    applyChatTemplate = false,
    fewshotAsMultiturn = true,
    ...options
  }: EvaluateOptions = {},
): Promise<Evaluation> {
  const startedAt = new Date();
  const started = performance.now();
  const found = findTasks(tasks);
  const template = applyChatTemplate ? model.chatTemplate : undefined;
  if (applyChatTemplate && !template) {
    throw new PrunelabError(`no chat template: ${model.name} has none; score it without, or choose its chat variant`);
  }
  const prompting = {
    ...(systemInstruction && { systemInstruction }),
    ...(template && { chatTemplate: template.text, fewshotAsMultiturn }),
  };
  const chat = template && { render: template.render, multiturn: fewshotAsMultiturn };
  const prompt = { ...(systemInstruction && { systemInstruction }), ...(chat && { chat }) };
  // All documents are read and checked before the first is scored: a malformed row should not cost minutes.
  const documents = await Promise.all(found.tasks.map((task) => loadDocuments(task, options)));
  const cache = await openAnswerCache(join(cacheFolder("answers"), `${model.digest}.jsonl`), { fresh });
  const evaluated: TaskEvaluation[] = [];
  try {
    for (const [index, task] of found.tasks.entries()) {
      evaluated.push(
        await evaluateTask(task, documents[index]!, { model, prompt, cache, onProgress: listener(onProgress) }),
      );
    }
  } finally {
    await cache.close();
  }
  const { name, digest, device, parameterCount, maxLength, specialTokens } = model;
  return {
    model: { name, digest, device, parameterCount, maxLength, specialTokens },
    limit: options.limit ?? null,
    ...(options.samples && { sampled: { count: options.samples, seed: options.seed ?? defaultSeed } }),
    ...(Object.keys(prompting).length > 0 && { prompting }),
    startedAt,
    seconds: (performance.now() - started) / 1000,
    reusedAnswers: cache.reused(),
    tasks: evaluated,
    groups: groupEvaluations(found.groups, evaluated),
  };
}

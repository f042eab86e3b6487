/** Scores a model on benchmarks: documents to requests, requests to answers, answers to metrics. */
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Row } from "../datasets/source.ts";
import { PrunelabError } from "../errors.ts";
import { cacheFolder, labelEntry } from "../hub/cache-folder.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { type LoadOptions, openLanguageModel } from "../model/load.ts";
import { listener, type OnProgress } from "../progress.ts";
import { findTasks } from "../tasks/find-tasks.ts";
import { type Documents, defaultSeed, type LoadDocumentsOptions, loadDocuments } from "../tasks/load-documents.ts";
import type { BaseSample } from "../tasks/output-types/output-type.ts";
import { type Metrics, outputTypeOf, type Task } from "../tasks/output-types/output-types.ts";
import type { PromptOptions } from "../tasks/output-types/prompt.ts";
import { type AnswerCache, openAnswerCache } from "./answer-cache.ts";
import { type Evaluation, groupEvaluations, type TaskEvaluation } from "./evaluation.ts";
import { resultsTable } from "./results-table.ts";
import { askUntilDecided, type Opponent, opponentOf } from "./until-decided.ts";

export interface EvaluateOptions extends LoadDocumentsOptions {
  readonly onProgress?: OnProgress;
  /** Stops the run between two batches, with the signal's reason; answers so far are kept. */
  readonly signal?: AbortSignal;
  /**
   * Stop a multiple-choice task as soon as its change of right answers is decided: when its 95 % confidence sequence, looked at after every 16
   * documents in an order drawn with `seed`, leaves out 0. Other tasks are asked whole. Compare with `compare(against, evaluation)`.
   */
  readonly until?: "decided";
  /** For `until`: the other model's evaluation on the same tasks and documents. */
  readonly against?: Evaluation;
  /** Ask the model everything, also what an earlier run of these weights has answered; the answers are kept all the same. */
  readonly fresh?: boolean;
  /** Stands before everything else. */
  readonly systemInstruction?: string;
  /** Puts each prompt as a chat by the model's own template. */
  readonly applyChatTemplate?: boolean;
  /** With a chat template: whether examples are turns of their own (default) or part of the one question. */
  readonly fewshotAsMultiturn?: boolean;
}

// A kernel asks values for their MIME bundle by this name.
const display: unique symbol = Symbol.for("Jupyter.display");

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
 * @throws PrunelabError if a task is unknown, its documents cannot be read, or one of them cannot be asked; before anything is scored.
 */
export async function evaluate(
  model: LanguageModel,
  tasks: readonly (string | Task)[],
  {
    onProgress,
    signal,
    until,
    against,
    fresh = false,
    systemInstruction,
    applyChatTemplate = false,
    fewshotAsMultiturn = true,
    ...options
  }: EvaluateOptions = {},
): Promise<ShownEvaluation> {
  const startedAt = new Date();
  const started = performance.now();
  signal?.throwIfAborted();
  if ((until === "decided") !== (against !== undefined) || !(until === undefined || until === "decided")) {
    throw new PrunelabError(
      `until and against belong together: until is ${until}, against is ${against ? "given" : "missing"}; give until: "decided" and the other model's evaluation, or neither`,
    );
  }
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
  // All documents and examples are read and checked before the first is scored: a malformed row should not cost minutes.
  const questions = await Promise.all(
    found.tasks.map(async (task) => prepare(task, await loadDocuments(task, options), prompt)),
  );
  const opponents = questions.map((asked) => against && opponentOf(asked, against, options.seed ?? defaultSeed));
  const answers = join(cacheFolder("answers"), `${model.digest}.jsonl`);
  const cache = await openAnswerCache(answers, { fresh });
  await labelEntry(
    answers,
    model.name,
    found.tasks.map(({ task }) => task),
  );
  const evaluated: TaskEvaluation[] = [];
  try {
    const asking = { model, cache, onProgress: listener(onProgress), signal };
    for (const [index, asked] of questions.entries()) {
      evaluated.push(await evaluateTask(asked, asking, opponents[index]));
    }
  } finally {
    await cache.close();
  }
  const { name, digest, device, parameterCount, maxLength, specialTokens } = model;
  return shown({
    model: { name, digest, device, parameterCount, maxLength, specialTokens },
    limit: options.limit ?? null,
    ...(options.samples && { sampled: { count: options.samples, seed: options.seed ?? defaultSeed } }),
    ...(Object.keys(prompting).length > 0 && { prompting }),
    startedAt,
    seconds: (performance.now() - started) / 1000,
    reusedAnswers: cache.reused(),
    tasks: evaluated,
    groups: groupEvaluations(found.groups, evaluated),
  });
}

/**
 * `loadLanguageModel`, `evaluate` and `release` for a model that is scored once. What an earlier run of the same weights has answered is
 * taken from the cache; if that is all, neither weights nor tokenizer are loaded.
 *
 * @throws PrunelabError as those do.
 */
export async function evaluateCheckpoint(
  checkpoint: Checkpoint,
  tasks: readonly (string | Task)[],
  { device, ...options }: EvaluateOptions & Pick<LoadOptions, "device"> = {},
): Promise<ShownEvaluation> {
  const { onProgress } = options;
  const { model } = await openLanguageModel(checkpoint, {
    ...(device && { device }),
    ...(onProgress && { onProgress }),
  });
  try {
    return await evaluate(model, tasks, options);
  } finally {
    await model.release();
  }
}

function shown(evaluation: Evaluation): ShownEvaluation {
  const table = resultsTable(evaluation);
  return {
    ...evaluation,
    toString: () => table,
    [display]: () => ({ "text/plain": table, "text/markdown": table }),
  };
}

/** A task's documents with what each asks. */
export interface Questions {
  readonly task: Task;
  readonly documents: Documents;
  readonly fewshotCount: number;
  readonly requests: readonly (readonly unknown[])[];
}

function prepare(task: Task, documents: Documents, prompt: Omit<PromptOptions, "examples">): Questions {
  const { docs, examples } = documents;
  const shots: (readonly Row[])[] = docs.map((doc) => examples?.draw(doc) ?? []);
  const outputType = outputTypeOf(task);
  const requests = docs.map((doc, index) => outputType.requests(task, doc, { ...prompt, examples: shots[index]! }));
  return { task, documents, fewshotCount: shots[0]?.length ?? 0, requests };
}

interface Asking {
  readonly model: LanguageModel;
  readonly cache: AnswerCache;
  readonly onProgress: OnProgress | undefined;
  readonly signal: AbortSignal | undefined;
}

async function evaluateTask(
  questions: Questions,
  asking: Asking,
  opponent: Opponent | undefined,
): Promise<TaskEvaluation> {
  const { task, documents, fewshotCount } = questions;
  const { docs, source, originalCount, examples } = documents;
  const { samples, decision } = opponent
    ? await askUntilDecided(opponent, (places) => askDocuments(questions, places, asking))
    : { samples: await askDocuments(questions, [...docs.keys()], asking) };
  return {
    outputType: task.outputType,
    task,
    samples,
    source,
    originalCount,
    fewshotCount,
    ...(decision && { decision }),
    ...(examples && { examples: { source: examples.source, isLmEvalDraw: examples.isLmEvalDraw } }),
    metrics: outputTypeOf(task).total(task, samples) as Metrics,
    // Task and samples are of one output type.
  } as unknown as TaskEvaluation;
}

/** Asks and rates the documents at some places of a task's. */
async function askDocuments(
  { task, documents: { docs, docIds }, requests }: Questions,
  places: readonly number[],
  { model, cache, onProgress, signal }: Asking,
): Promise<BaseSample[]> {
  const outputType = outputTypeOf(task);
  const total = places.length;
  const asked = places.flatMap((place) => requests[place]!);
  const answers = await outputType.ask(model, asked, {
    answers: cache,
    // The model reports after every batch; it counts requests, and people count documents.
    onProgress: ({ done, total: all }) => {
      signal?.throwIfAborted();
      onProgress?.({ step: `score ${task.task}`, done: Math.floor((done / all) * total), total, unit: "documents" });
    },
  });
  let next = 0;
  return places.map((place) => {
    const own = requests[place]!;
    const document = { docId: docIds[place]!, doc: docs[place]! };
    const sample = outputType.rate(task, document, own, answers.slice(next, next + own.length));
    next += own.length;
    return sample;
  });
}

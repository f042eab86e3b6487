/** Scores a model on one task: its documents asked, answered and rated, by the task's kind. */
import type { AskOptions, LanguageModel } from "../model/language-model.ts";
import type { OnProgress } from "../progress.ts";
import { countWords } from "../python/text.ts";
import type { Documents } from "../tasks/load-documents.ts";
import type { ChoiceTask, GenerationTask, RollingTask, Row, Task } from "../tasks/task.ts";
import type { AnswerCache } from "./answer-cache.ts";
import type { ChoiceSample, GenerationSample, RollingSample, TaskEvaluation } from "./evaluation.ts";
import { exactMatch, filterAnswer } from "./exact-match.ts";
import { documentMetrics, perplexityMetrics, taskMetrics } from "./metrics.ts";
import { buildGenerationRequest, buildRequests, type PromptOptions } from "./requests.ts";

/** The model, where its answers are kept, and what is put before each document. */
interface Asking {
  readonly model: LanguageModel;
  readonly prompt: Omit<PromptOptions, "examples">;
  readonly cache: AnswerCache;
  readonly onProgress: OnProgress | undefined;
}

/** Scores one task's documents. */
export async function evaluateTask(task: Task, documents: Documents, asking: Asking): Promise<TaskEvaluation> {
  const { docs, source, originalCount, examples } = documents;
  const shots = task.outputType === "loglikelihood_rolling" ? [] : docs.map((doc) => examples?.draw(doc) ?? []);
  const common = {
    source,
    originalCount,
    fewshotCount: shots[0]?.length ?? 0,
    ...(examples && shots.length > 0 && { examples: { source: examples.source, isLmEvalDraw: examples.isLmEvalDraw } }),
  };
  const { outputType } = task;
  switch (outputType) {
    case "multiple_choice": {
      const samples = await choiceSamples(task, documents, shots, asking);
      return { outputType, task, ...common, samples, metrics: taskMetrics(task, samples) };
    }
    case "generate_until": {
      const samples = await generationSamples(task, documents, shots, asking);
      return { outputType, task, ...common, samples, metrics: taskMetrics(task, samples) };
    }
    case "loglikelihood_rolling": {
      const samples = await rollingSamples(task, documents, asking);
      return { outputType, task, ...common, samples, metrics: perplexityMetrics(samples) };
    }
  }
}

type Shots = readonly (readonly Row[])[];

async function choiceSamples(
  task: ChoiceTask,
  { docs, docIds }: Documents,
  shots: Shots,
  { model, prompt, cache, onProgress }: Asking,
): Promise<ChoiceSample[]> {
  const requests = docs.map((doc, index) => buildRequests(task, doc, { ...prompt, examples: shots[index]! }));
  const answers = await model.loglikelihood(requests.flat(), {
    journal: cache,
    ...progressOf(task, docs.length, onProgress),
  });
  let next = 0;
  return docs.map((doc, index) => {
    const own = requests[index]!;
    const answered = answers.slice(next, next + own.length);
    next += own.length;
    return {
      docId: docIds[index]!,
      doc,
      target: task.docToTarget(doc),
      requests: own,
      answers: answered,
      metrics: documentMetrics(task, doc, answered),
    };
  });
}

async function generationSamples(
  task: GenerationTask,
  { docs, docIds }: Documents,
  shots: Shots,
  { model, prompt, cache, onProgress }: Asking,
): Promise<GenerationSample[]> {
  const requests = docs.map((doc, index) => buildGenerationRequest(task, doc, { ...prompt, examples: shots[index]! }));
  const answers = await model.generateUntil(requests, {
    journal: cache.texts,
    ...progressOf(task, docs.length, onProgress),
  });
  return docs.map((doc, index) => {
    const answer = answers[index]!;
    const targets = task.docToTarget(doc);
    const filtered = filterAnswer(task, answer);
    const metrics = { exact_match: exactMatch(task, filtered, targets) };
    return { docId: docIds[index]!, doc, targets, request: requests[index]!, answer, filtered, metrics };
  });
}

async function rollingSamples(
  task: RollingTask,
  { docs, docIds }: Documents,
  { model, cache, onProgress }: Asking,
): Promise<RollingSample[]> {
  const texts = docs.map((doc) => task.docToTarget(doc));
  const sums = await model.loglikelihoodRolling(texts, {
    journal: cache,
    ...progressOf(task, docs.length, onProgress),
  });
  return docs.map((doc, index) => {
    const counted = task.docToCount(doc);
    return {
      docId: docIds[index]!,
      doc,
      text: texts[index]!,
      loglikelihood: sums[index]!,
      words: countWords(counted),
      bytes: Buffer.byteLength(counted, "utf8"),
    };
  });
}

/** Tells of documents, where the model tells of requests. */
function progressOf(
  task: Task,
  total: number,
  onProgress: OnProgress | undefined,
): Pick<AskOptions<never>, "onProgress"> {
  if (!onProgress) return {};
  return {
    onProgress: (asked) =>
      onProgress({
        step: `score ${task.task}`,
        done: Math.floor((asked.done / asked.total) * total),
        total,
        unit: "documents",
      }),
  };
}

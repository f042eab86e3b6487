/** Samples as the lines of lm-eval's samples files, with its hashes. */
import { createHash } from "node:crypto";
import { PythonFloat, pythonFloat, pythonJson } from "../python/json.ts";
import { pythonList } from "../python/text.ts";
import type { ChoiceTask, GenerationTask, RollingTask, Task } from "../tasks/task.ts";
import type { ChoiceSample, GenerationSample, RollingSample, TaskEvaluation } from "./evaluation.ts";
import type { SampleLine } from "./results-format.ts";

/** A task's samples as lines, in their order. */
export function sampleLines(evaluated: TaskEvaluation): SampleLine<PythonFloat>[] {
  switch (evaluated.outputType) {
    case "multiple_choice":
      return evaluated.samples.map((sample) => choiceLine(evaluated.task, sample));
    case "generate_until":
      return evaluated.samples.map((sample) => generationLine(evaluated.task, sample));
    case "loglikelihood_rolling":
      return evaluated.samples.map((sample) => rollingLine(evaluated.task, sample));
  }
}

/** lm-eval's hash of a task's documents, prompts and targets; equal hashes mean that the same was asked. */
export function taskHash(lines: readonly SampleLine<unknown>[]): string {
  return sha256(lines.map((line) => line.doc_hash + line.prompt_hash + line.target_hash).join(""));
}

/** The filter that stands in the metrics' keys. */
export function filterName(task: Task): string {
  return task.outputType === "generate_until" ? task.filter : "none";
}

/** How a text was written. */
export function generationKwargs(until: readonly string[]): Record<string, unknown> {
  return { until, do_sample: false, temperature: new PythonFloat(0) };
}

function choiceLine(task: ChoiceTask, sample: ChoiceSample): SampleLine<PythonFloat> {
  const answers = sample.answers.map(({ sum, isGreedy }) => [pythonFloat(sum), isGreedy ? "True" : "False"] as const);
  return line(task, sample, {
    target: task.targetText?.(sample.doc) ?? String(sample.target),
    requests: sample.requests.map(({ context, continuation }) => [context, continuation]),
    resps: answers.map((answer) => [answer]),
    filtered_resps: answers,
    metrics: floats(sample.metrics),
  });
}

function generationLine(task: GenerationTask, sample: GenerationSample): SampleLine<PythonFloat> {
  return line(task, sample, {
    target: pythonList(sample.targets),
    requests: [[sample.request.context, generationKwargs(sample.request.until)]],
    resps: [[sample.answer]],
    filtered_resps: [sample.filtered],
    metrics: floats(sample.metrics),
  });
}

function rollingLine(task: RollingTask, sample: RollingSample): SampleLine<PythonFloat> {
  const { text, loglikelihood, words, bytes } = sample;
  const sum = new PythonFloat(loglikelihood);
  return line(task, sample, {
    target: text,
    requests: [[text]],
    resps: [[pythonFloat(loglikelihood)]],
    filtered_resps: [pythonFloat(loglikelihood)],
    metrics: { word_perplexity: [sum, words], byte_perplexity: [sum, bytes], bits_per_byte: [sum, bytes] },
  });
}

function line(
  task: Task,
  { docId, doc }: Pick<ChoiceSample, "docId" | "doc">,
  {
    target,
    requests,
    resps,
    filtered_resps,
    metrics,
  }: Pick<SampleLine<PythonFloat>, "target" | "resps" | "filtered_resps"> & {
    readonly requests: readonly (readonly [string, ...unknown[]])[];
    readonly metrics: Readonly<Record<string, unknown>>;
  },
): SampleLine<PythonFloat> {
  const named = requests.map((values, index) => [
    `gen_args_${index}`,
    Object.fromEntries(values.map((value, place) => [`arg_${place}`, value])),
  ]);
  return {
    doc_id: docId,
    doc,
    target,
    arguments: Object.fromEntries(named),
    resps,
    filtered_resps,
    filter: filterName(task),
    metrics: task.metrics,
    doc_hash: sha256(pythonJson(doc, { indent: 2 })),
    prompt_hash: sha256(requests[0]![0]),
    target_hash: sha256(target),
    ...metrics,
  };
}

function floats(metrics: ChoiceSample["metrics"]): Record<string, PythonFloat> {
  return Object.fromEntries(Object.entries(metrics).map(([metric, value]) => [metric, new PythonFloat(value)]));
}

/** Hex digest of a text in UTF-8, as lm-eval writes its hashes. */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

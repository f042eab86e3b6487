/** lm-eval's `generate_until`: a text that the model writes, right if it equals one of the targets. */
import type { Row } from "../../datasets/source.ts";
import type { GenerationRequest } from "../../model/language-model.ts";
import { PythonFloat } from "../../python/json.ts";
import { pythonList, strip } from "../../python/text.ts";
import type { BaseTask } from "../task.ts";
import { means } from "./metrics.ts";
import { type BaseSample, checkText, checkTexts, type OutputType } from "./output-type.ts";
import { type Part, prompter, turn } from "./prompt.ts";

export interface GenerationTask<Doc extends Row = Row> extends BaseTask<Doc, "exact_match"> {
  readonly outputType: "generate_until";
  docToText(doc: Doc): string;
  /** All right answers; the first one solves the document as an example. */
  docToTarget(doc: Doc): readonly string[];
  /** The text ends before the first of these. */
  readonly until: readonly string[];
  /** What is done to the text before it is compared; lm-eval's name of the filter. */
  readonly filter: "remove_whitespace";
  /** How texts are compared: both sides in lower case, and without ASCII punctuation. */
  readonly matching: { readonly ignore_case: boolean; readonly ignore_punctuation: boolean };
}

export interface GenerationSample extends BaseSample {
  /** All right answers. */
  readonly targets: readonly string[];
  readonly request: GenerationRequest;
  readonly answer: string;
  /** The answer as it was compared, but for case and punctuation. */
  readonly filtered: string;
  /** 1 or 0 for each of the task's metrics. */
  readonly metrics: Readonly<Partial<Record<GenerationTask["metrics"][number], number>>>;
}

export const generateUntil: OutputType<GenerationTask, GenerationSample, GenerationRequest, string> = {
  metrics: { exact_match: "mean" },
  check(task, doc) {
    checkText(task.docToText(doc), "the question", "docToText");
    checkTexts(task.docToTarget(doc), "the right answers", "docToTarget");
  },
  solved,
  requests: (task, doc, options = {}) => [
    { context: prompter(task, solved, options)(task.docToText(doc)), until: task.until },
  ],
  ask: (model, requests, { answers, ...options }) =>
    model.generateUntil(requests, { journal: answers.texts, ...options }),
  rate(task, { docId, doc }, requests, answers) {
    const [request, answer] = [requests[0]!, answers[0]!];
    const targets = task.docToTarget(doc);
    const filtered = filterAnswer(task, answer);
    return {
      docId,
      doc,
      targets,
      request,
      answer,
      filtered,
      metrics: { exact_match: exactMatch(task, filtered, targets) },
    };
  },
  total: means,
  line: (_, { targets, request, answer, filtered, metrics }) => ({
    target: pythonList(targets),
    requests: [[request.context, generationKwargs(request.until)]],
    resps: [[answer]],
    filtered_resps: [filtered],
    metrics: { exact_match: new PythonFloat(metrics.exact_match!) },
  }),
  filter: ({ filter }) => filter,
  config: ({ until, filter, matching }) => ({
    matching,
    generation_kwargs: generationKwargs(until),
    filter_list: [{ name: filter, filter: [{ function: filter }, { function: "take_first" }] }],
  }),
};

function solved(task: GenerationTask, doc: Row): readonly Part[] {
  return turn(task.docToText(doc), task.docToTarget(doc)[0]!);
}

/** How a text was written. */
function generationKwargs(until: readonly string[]): Record<string, unknown> {
  return { until, do_sample: false, temperature: new PythonFloat(0) };
}

// Python's string.punctuation.
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** The text after the task's filter. */
export function filterAnswer({ filter }: GenerationTask, answer: string): string {
  return filter === "remove_whitespace" ? strip(answer) : answer;
}

/** lm-eval's `exact_match`: 1 if the text equals a target, case and punctuation left aside as the task says, else 0. */
export function exactMatch({ matching }: GenerationTask, answer: string, targets: readonly string[]): number {
  const plain = (text: string) => {
    const lower = matching.ignore_case ? text.toLowerCase() : text;
    return matching.ignore_punctuation ? lower.replace(PUNCTUATION, "") : lower;
  };
  return targets.some((target) => plain(target) === plain(answer)) ? 1 : 0;
}

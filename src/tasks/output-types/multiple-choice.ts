/** lm-eval's `multiple_choice`: a document with n choices becomes n questions: how likely is `" " + choice` after the context? */
import type { Row } from "../../datasets/source.ts";
import { PrunelabError } from "../../errors.ts";
import type { Loglikelihood, LoglikelihoodRequest } from "../../model/language-model.ts";
import { PythonFloat, pythonFloat } from "../../python/json.ts";
import { length } from "../../python/text.ts";
import type { BaseTask } from "../task.ts";
import { means } from "./metrics.ts";
import { type BaseSample, checkTexts, type OutputType } from "./output-type.ts";
import { type Part, prompter, TARGET_DELIMITER, turn } from "./prompt.ts";

/** `acc_norm` divides a log-likelihood by the choice's length in characters. */
export interface ChoiceTask<Doc extends Row = Row> extends BaseTask<Doc, "acc" | "acc_norm"> {
  readonly outputType: "multiple_choice";
  /** The context; or a list, one for each choice, if the choices stand in the context (WinoGrande). */
  docToText(doc: Doc): string | readonly string[];
  /** The continuations, without the space between context and continuation. */
  docToChoice(doc: Doc): readonly string[];
  /** Index of the right choice. */
  docToTarget(doc: Doc): number;
  /** What samples files call the target, if that is not the index. */
  targetText?(doc: Doc): string;
}

export interface ChoiceSample extends BaseSample {
  /** Index of the right choice. */
  readonly target: number;
  /** One for each choice. */
  readonly requests: readonly LoglikelihoodRequest[];
  /** In the order of the requests. */
  readonly answers: readonly Loglikelihood[];
  /** 1 or 0 for each of the task's metrics. */
  readonly metrics: Readonly<Partial<Record<ChoiceTask["metrics"][number], number>>>;
}

export const multipleChoice: OutputType<ChoiceTask, ChoiceSample, LoglikelihoodRequest, Loglikelihood> = {
  metrics: { acc: "mean", acc_norm: "mean" },
  check(task, doc) {
    const choices: unknown = task.docToChoice(doc);
    checkTexts(choices, "the choices", "docToChoice");
    const target = task.docToTarget(doc);
    if (!(Number.isInteger(target) && target >= 0 && target < choices.length)) {
      throw new PrunelabError(
        `right choice out of range: ${target} of ${choices.length} choices, counted from 0; correct the row or docToTarget`,
      );
    }
    const text: unknown = task.docToText(doc);
    if (typeof text !== "string" && !Array.isArray(text)) {
      throw new PrunelabError(
        `no context: ${text}; correct the row or docToText, which gives a text or a list of texts`,
      );
    }
    if (typeof text === "string") return;
    checkTexts(text, "the contexts", "docToText");
    if (text.length !== choices.length) {
      throw new PrunelabError(
        `${text.length} contexts for ${choices.length} choices; give one context, or one for each choice`,
      );
    }
  },
  solved,
  requests(task, doc, options = {}) {
    const context = prompter(task, solved, options);
    const text = task.docToText(doc);
    const shared = typeof text === "string" ? context(text) : undefined;
    // After a chat template there is no space.
    const delimiter = options.chat ? "" : TARGET_DELIMITER;
    return task.docToChoice(doc).map((choice, index) => ({
      context: shared ?? context(text[index]!),
      continuation: delimiter + choice,
    }));
  },
  ask: (model, requests, { answers, ...options }) =>
    model.loglikelihood(requests, { journal: answers.sums, ...options }),
  rate: (task, { docId, doc }, requests, answers) => ({
    docId,
    doc,
    target: task.docToTarget(doc),
    requests,
    answers,
    metrics: documentMetrics(task, doc, answers),
  }),
  total: means,
  line(task, { doc, target, requests, answers, metrics }) {
    const resps = answers.map(({ sum, isGreedy }) => [pythonFloat(sum), isGreedy ? "True" : "False"] as const);
    return {
      target: task.targetText?.(doc) ?? String(target),
      requests: requests.map(({ context, continuation }) => [context, continuation]),
      resps: resps.map((answer) => [answer]),
      filtered_resps: resps,
      metrics: Object.fromEntries(Object.entries(metrics).map(([metric, value]) => [metric, new PythonFloat(value)])),
    };
  },
};

function solved(task: ChoiceTask, doc: Row): readonly Part[] {
  const target = task.docToTarget(doc);
  const text = task.docToText(doc);
  const answer = task.docToChoice(doc)[target]!;
  if (typeof text === "string") return turn(text, answer);
  // With contexts for choices the answer is what lm-eval calls the target, and it leaves an empty target out, spaces and all.
  return answer === "" ? [{ role: "user", content: text[target]!, delimiter: "" }] : turn(text[target]!, answer);
}

/** 1 or 0 for each of the task's metrics, from the answers to a document's requests. */
export function documentMetrics(
  task: ChoiceTask,
  doc: Row,
  answers: readonly Loglikelihood[],
): ChoiceSample["metrics"] {
  const target = task.docToTarget(doc);
  const choices = task.docToChoice(doc);
  const sums = answers.map(({ sum }) => sum);
  const chosen = {
    acc: firstMaximum(sums),
    // By the characters of the choice without the space before it; lm-eval's documentation says bytes, its code does not.
    acc_norm: firstMaximum(sums.map((sum, index) => sum / length(choices[index]!))),
  };
  return Object.fromEntries(task.metrics.map((metric) => [metric, chosen[metric] === target ? 1 : 0]));
}

/** Index of the first largest value; NaN counts as the largest, as in numpy's argmax. */
export function firstMaximum(values: readonly number[]): number {
  const nan = values.findIndex(Number.isNaN);
  return nan >= 0 ? nan : values.indexOf(Math.max(...values));
}

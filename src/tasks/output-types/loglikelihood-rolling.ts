/** lm-eval's `loglikelihood_rolling`: how likely whole texts are. */
import type { Row } from "../../datasets/source.ts";
import { PythonFloat, pythonFloat } from "../../python/json.ts";
import { countWords } from "../../python/text.ts";
import type { BaseTask } from "../task.ts";
import { sum } from "./metrics.ts";
import { type BaseSample, checkText, type OutputType } from "./output-type.ts";

/** Perplexity by words and by bytes, and its logarithm by 2. */
export interface RollingTask<Doc extends Row = Row>
  extends BaseTask<Doc, "word_perplexity" | "byte_perplexity" | "bits_per_byte"> {
  readonly outputType: "loglikelihood_rolling";
  /** The text that is scored. */
  docToTarget(doc: Doc): string;
  /** The text whose words and bytes are counted. */
  docToCount(doc: Doc): string;
}

export interface RollingSample extends BaseSample {
  /** What was scored. */
  readonly text: string;
  /** Natural-log probability of the whole text. */
  readonly loglikelihood: number;
  /** Of the text as it was before the task's changes: parts between white space, and bytes of UTF-8. */
  readonly words: number;
  readonly bytes: number;
}

export const loglikelihoodRolling: OutputType<RollingTask, RollingSample, string, number> = {
  metrics: {
    word_perplexity: "weighted_perplexity",
    byte_perplexity: "weighted_perplexity",
    bits_per_byte: "bits_per_byte",
  },
  check(task, doc) {
    checkText(task.docToTarget(doc), "the text", "docToTarget");
    checkText(task.docToCount(doc), "the counted text", "docToCount");
  },
  requests: (task, doc) => [task.docToTarget(doc)],
  ask: (model, texts, { answers, ...options }) =>
    model.loglikelihoodRolling(texts, { journal: answers.sums, ...options }),
  rate(task, { docId, doc }, [text], [loglikelihood]) {
    const counted = task.docToCount(doc);
    const [words, bytes] = [countWords(counted), Buffer.byteLength(counted, "utf8")];
    return { docId, doc, text: text!, loglikelihood: loglikelihood!, words, bytes };
  },
  /** The log-likelihood of all texts together, shared out over all their words or bytes. lm-eval gives no standard error. */
  total(_, samples) {
    const total = sum(samples.map(({ loglikelihood }) => loglikelihood));
    const perWord = total / sum(samples.map(({ words }) => words));
    const perByte = total / sum(samples.map(({ bytes }) => bytes));
    return {
      word_perplexity: { value: Math.exp(-perWord), stderr: null },
      byte_perplexity: { value: Math.exp(-perByte), stderr: null },
      bits_per_byte: { value: -perByte / Math.log(2), stderr: null },
    };
  },
  line(_, { text, loglikelihood, words, bytes }) {
    const sum = new PythonFloat(loglikelihood);
    return {
      target: text,
      requests: [[text]],
      resps: [[pythonFloat(loglikelihood)]],
      filtered_resps: [pythonFloat(loglikelihood)],
      metrics: { word_perplexity: [sum, words], byte_perplexity: [sum, bytes], bits_per_byte: [sum, bytes] },
    };
  },
};

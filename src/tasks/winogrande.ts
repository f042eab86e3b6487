/** WinoGrande: which of two names fills the gap, scored by what follows the gap. */
import { textField, wrongField } from "../datasets/fields.ts";
import { jsonLines } from "../datasets/folder.ts";
import type { Row } from "../datasets/source.ts";
import { strip } from "../python/text.ts";
import type { ChoiceTask } from "./output-types/multiple-choice.ts";

interface WinograndeDoc extends Row {
  readonly sentence: string;
  readonly option1: string;
  readonly option2: string;
  readonly answer: string;
}

/**
 * Sakaguchi et al., "WinoGrande: An Adversarial Winograd Schema Challenge at Scale", AAAI 2020, arXiv:1907.10641, with
 * the partial scoring of Trinh and Le, arXiv:1806.02847. lm-eval's `winogrande`, version 1.0.
 */
export const winogrande: ChoiceTask<WinograndeDoc> = {
  task: "winogrande",
  label: "WinoGrande",
  outputType: "multiple_choice",
  version: 1,
  dataset: {
    path: "allenai/winogrande",
    name: "winogrande_xl",
    folder: {
      files: { train: ["winogrande/train_xl.jsonl"], validation: ["winogrande/dev.jsonl"] },
      read: jsonLines(({ sentence, option1, option2, answer }) => ({ sentence, option1, option2, answer })),
    },
  },
  splits: { training: "train", validation: "validation" },
  fewshotSampler: "default",
  processDoc: (row) => {
    const [sentence, answer] = [textField(row, "sentence"), textField(row, "answer")];
    if (!sentence.includes("_")) throw wrongField("sentence", "a sentence with a gap, _", sentence);
    if (answer !== "1" && answer !== "2") throw wrongField("answer", '"1" or "2"', answer);
    return { ...row, sentence, answer, option1: textField(row, "option1"), option2: textField(row, "option2") };
  },
  docToText: ({ sentence, option1, option2 }) => {
    const before = sentence.slice(0, sentence.indexOf("_"));
    return [before + option1, before + option2];
  },
  docToChoice: (doc) => [afterGap(doc), afterGap(doc)],
  docToTarget: (doc) => Number(doc.answer) - 1,
  targetText: (doc) => afterGap(doc),
  metrics: ["acc"],
  config: {
    doc_to_text: "index of the right option",
    doc_to_choice: "the sentence up to the gap, with each option in the gap",
    doc_to_target: "the rest of the sentence",
    doc_to_decontamination_query: "sentence",
  },
};

function afterGap({ sentence }: WinograndeDoc): string {
  return strip(sentence.slice(sentence.indexOf("_") + 1));
}

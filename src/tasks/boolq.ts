/** BoolQ: yes or no questions about a passage. */
import { integerField, textField, wrongField } from "../datasets/fields.ts";
import { jsonLines } from "../datasets/folder.ts";
import type { Row } from "../datasets/source.ts";
import type { ChoiceTask } from "./output-types/multiple-choice.ts";

interface BoolqDoc extends Row {
  readonly question: string;
  readonly passage: string;
  readonly label: number;
}

/**
 * Clark et al., "BoolQ: Exploring the Surprising Difficulty of Natural Yes/No Questions", NAACL 2019, arXiv:1905.10044.
 * lm-eval's `boolq`, version 2.0.
 */
export const boolq: ChoiceTask<BoolqDoc> = {
  task: "boolq",
  label: "BoolQ",
  outputType: "multiple_choice",
  version: 2,
  dataset: {
    path: "aps/super_glue",
    name: "boolq",
    // BoolQ's own files have the passage alone; the Hub's copy begins each passage with its title and " -- ".
    folder: {
      files: { train: ["boolq/train.jsonl"], validation: ["boolq/dev.jsonl"] },
      read: jsonLines(({ question, passage, answer }, idx) => {
        if (typeof answer !== "boolean") throw wrongField("answer", "true or false", answer);
        return { question, passage, idx, label: Number(answer) };
      }),
    },
  },
  splits: { training: "train", validation: "validation" },
  fewshotSampler: "default",
  processDoc: (row) => ({
    ...row,
    question: textField(row, "question"),
    passage: textField(row, "passage"),
    label: integerField(row, "label", 0, 1),
  }),
  docToText: (doc) => `${doc.passage}\nQuestion: ${doc.question}?\nAnswer:`,
  docToChoice: () => ["no", "yes"],
  docToTarget: (doc) => doc.label,
  metrics: ["acc"],
  config: {
    doc_to_text: "{{passage}}\nQuestion: {{question}}?\nAnswer:",
    doc_to_choice: ["no", "yes"],
    doc_to_target: "label",
    doc_to_decontamination_query: "passage",
  },
};

/** ARC: school science questions with three to five answers, an easy and a hard set. */
import { isRow, objectField, textField, textsField, wrongField } from "../datasets/fields.ts";
import { type FolderLayout, jsonLines } from "../datasets/folder.ts";
import type { Row } from "../datasets/source.ts";
import type { ChoiceTask } from "./output-types/multiple-choice.ts";

interface ArcDoc extends Row {
  readonly question: string;
  readonly choices: { readonly text: readonly string[]; readonly label: readonly string[] };
  readonly answerKey: string;
}

const folder: FolderLayout = {
  files: { train: ["arc/*/*-Train.jsonl"], validation: ["arc/*/*-Dev.jsonl"], test: ["arc/*/*-Test.jsonl"] },
  read: jsonLines((row) => {
    const question = objectField(row, "question");
    const choices = question.choices;
    if (!Array.isArray(choices) || !choices.every(isRow)) {
      throw wrongField("question.choices", "a list of objects", choices);
    }
    return {
      id: row.id,
      question: textField(question, "stem"),
      choices: {
        text: choices.map((choice) => textField(choice, "text")),
        label: choices.map((choice) => textField(choice, "label")),
      },
      answerKey: row.answerKey,
    };
  }),
};

/**
 * Clark et al., "Think you have Solved Question Answering? Try ARC, the AI2 Reasoning Challenge", 2018, arXiv:1803.05457.
 * lm-eval's `arc_easy`, version 1.0.
 */
export const arcEasy: ChoiceTask<ArcDoc> = {
  task: "arc_easy",
  label: "ARC-Easy",
  outputType: "multiple_choice",
  version: 1,
  dataset: { path: "allenai/ai2_arc", name: "ARC-Easy", folder },
  splits: { training: "train", validation: "validation", test: "test" },
  fewshotSampler: "default",
  processDoc: (row) => {
    const fields = objectField(row, "choices");
    const text = textsField(fields, "text");
    const label = textsField(fields, "label", text.length);
    const answerKey = textField(row, "answerKey");
    if (!label.includes(answerKey)) throw wrongField("answerKey", `one of ${label.join(", ")}`, answerKey);
    return { ...row, question: textField(row, "question"), choices: { text, label }, answerKey };
  },
  docToText: (doc) => `Question: ${doc.question}\nAnswer:`,
  docToChoice: (doc) => doc.choices.text,
  docToTarget: (doc) => doc.choices.label.indexOf(doc.answerKey),
  metrics: ["acc", "acc_norm"],
  config: {
    doc_to_text: "Question: {{question}}\nAnswer:",
    doc_to_choice: "{{choices.text}}",
    doc_to_target: "{{choices.label.index(answerKey)}}",
    doc_to_decontamination_query: "Question: {{question}}\nAnswer:",
  },
};

/** The questions that word counting and retrieval got wrong. lm-eval's `arc_challenge`, version 1.0. */
export const arcChallenge: ChoiceTask<ArcDoc> = {
  ...arcEasy,
  task: "arc_challenge",
  label: "ARC-Challenge",
  dataset: { path: "allenai/ai2_arc", name: "ARC-Challenge", folder },
};

/** TriviaQA: quiz questions that the model answers in its own words. */
import { objectField, textField, textsField, wrongField } from "../datasets/fields.ts";
import { jsonLines } from "../datasets/folder.ts";
import type { Row } from "../datasets/source.ts";
import type { GenerationTask } from "./output-types/generate-until.ts";

interface TriviaqaDoc extends Row {
  readonly question: string;
  readonly answer: { readonly aliases: readonly string[] };
}

/**
 * Joshi et al., "TriviaQA: A Large Scale Distantly Supervised Challenge Dataset for Reading Comprehension", ACL 2017,
 * arXiv:1705.03551, without the documents to read. lm-eval's `triviaqa`, version 3.0; its second question mark is meant.
 */
export const triviaqa: GenerationTask<TriviaqaDoc> = {
  task: "triviaqa",
  label: "TriviaQA",
  outputType: "generate_until",
  version: 3,
  dataset: {
    path: "mandarjoshi/trivia_qa",
    name: "rc.nocontext",
    folder: {
      files: {
        train: ["triviaqa/train.jsonl"],
        validation: ["triviaqa/validation.jsonl", "triviaqa/foundry_triviaqa_sm_sub.jsonl"],
      },
      partial: ["triviaqa/foundry_triviaqa_sm_sub.jsonl"],
      read: jsonLines(hubRow),
    },
  },
  splits: { training: "train", validation: "validation" },
  fewshotSampler: "default",
  processDoc: (row) => {
    const answer = objectField(row, "answer");
    return {
      ...row,
      question: textField(row, "question"),
      answer: { ...answer, aliases: textsField(answer, "aliases") },
    };
  },
  docToText: (doc) => `Question: ${doc.question}?\nAnswer:`,
  docToTarget: (doc) => doc.answer.aliases,
  until: ["\n", ".", ","],
  filter: "remove_whitespace",
  matching: { ignore_case: true, ignore_punctuation: true },
  metrics: ["exact_match"],
  config: {
    doc_to_text: "Question: {{question}}?\nAnswer:",
    doc_to_target: "{{answer.aliases}}",
    doc_to_decontamination_query: "question",
  },
};

/** llm-foundry's copy has the prompt in place of the question; other files have the Hub's fields. */
function hubRow(row: Row): Row {
  if (row.question !== undefined) return row;
  const [, question] = /^Question: (.*)\nAnswer:$/s.exec(textField(row, "context")) ?? [];
  if (question === undefined) throw wrongField("context", '"Question: …", a new line and "Answer:"', row.context);
  return { question, answer: { aliases: row.aliases, value: row.answer } };
}

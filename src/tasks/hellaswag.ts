/** HellaSwag: which of four endings follows. */
import { integerField, textField, textsField, wrongField } from "../datasets/fields.ts";
import type { Row } from "../datasets/source.ts";
import { capitalize, strip } from "../python/text.ts";
import type { ChoiceTask } from "./task.ts";

/** A row, and what is scored of it. */
interface HellaswagDoc extends Row {
  readonly query: string;
  readonly choices: readonly string[];
  readonly gold: number;
}

/**
 * Zellers et al., "HellaSwag: Can a Machine Really Finish Your Sentence?", ACL 2019, arXiv:1905.07830.
 * lm-eval's `hellaswag`, version 1.0.
 */
export const hellaswag: ChoiceTask<HellaswagDoc> = {
  task: "hellaswag",
  outputType: "multiple_choice",
  version: 1,
  dataset: { path: "Rowan/hellaswag" },
  splits: { training: "train", validation: "validation" },
  fewshotSampler: "default",
  processDoc: (row) => {
    const ctx = `${textField(row, "ctx_a")} ${capitalize(textField(row, "ctx_b"))}`;
    return {
      ...row,
      query: clean(`${textField(row, "activity_label")}: ${ctx}`),
      choices: textsField(row, "endings", 4).map(clean),
      gold: labelOf(row),
    };
  },
  docToText: (doc) => doc.query,
  docToChoice: (doc) => doc.choices,
  docToTarget: (doc) => doc.gold,
  metrics: ["acc", "acc_norm"],
  config: { process_docs: "hellaswag", doc_to_text: "{{query}}", doc_to_choice: "choices", doc_to_target: "{{label}}" },
};

/** Takes the marks of the WikiHow half away, in lm-eval's steps and order. */
function clean(text: string): string {
  return strip(text)
    .replaceAll(" [title]", ". ")
    .replace(/\[[^\n]*?\]/g, "")
    .replaceAll("  ", " ");
}

/** The Hub has labels as strings, the original files as numbers. */
function labelOf(row: Row): number {
  if (typeof row.label !== "string") return integerField(row, "label", 0, 3);
  if (!/^[0-3]$/.test(row.label)) throw wrongField("label", "0, 1, 2 or 3", row.label);
  return Number(row.label);
}

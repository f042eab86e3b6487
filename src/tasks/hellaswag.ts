/** HellaSwag: which of four endings follows. */
import { integerField, textField, textsField, wrongField } from "../datasets/fields.ts";
import { jsonLines } from "../datasets/folder.ts";
import type { Row } from "../datasets/source.ts";
import { capitalize, strip } from "../python/text.ts";
import type { ChoiceTask } from "./output-types/multiple-choice.ts";

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
  label: "HellaSwag",
  outputType: "multiple_choice",
  version: 1,
  dataset: {
    path: "Rowan/hellaswag",
    folder: {
      files: {
        train: ["hellaswag/hellaswag_train.jsonl", "hellaswag/hellaswag_train_head.jsonl"],
        validation: ["hellaswag/hellaswag_val.jsonl", "hellaswag/hellaswag_val_first200.jsonl"],
        // Our own name: a random thousand of the validation rows.
        validation_sample1000: ["hellaswag/hellaswag_val_sample1000_original.jsonl"],
      },
      partial: [
        "hellaswag/hellaswag_train_head.jsonl",
        "hellaswag/hellaswag_val_first200.jsonl",
        "hellaswag/hellaswag_val_sample1000_original.jsonl",
      ],
      read: jsonLines(hubRow),
    },
  },
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

/** The Hub has labels as strings. A row that was rebuilt from a preprocessed copy keeps its mark. */
function hubRow(row: Row): Row {
  const { ind, activity_label, ctx_a, ctx_b, ctx, endings, source_id, split, split_type, label, reconstructed } = row;
  return {
    ...{ ind, activity_label, ctx_a, ctx_b, ctx, endings, source_id, split, split_type },
    label: typeof label === "number" ? String(label) : label,
    ...(reconstructed === undefined ? {} : { reconstructed }),
  };
}

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

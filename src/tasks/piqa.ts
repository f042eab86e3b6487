/** PIQA: which of two ways reaches a practical goal. */
import { readCsv } from "../datasets/csv.ts";
import { integerField, textField } from "../datasets/fields.ts";
import { jsonLines } from "../datasets/folder.ts";
import type { PlacedRow, Row } from "../datasets/source.ts";
import { PrunelabError } from "../errors.ts";
import type { ChoiceTask } from "./output-types/multiple-choice.ts";

interface PiqaDoc extends Row {
  readonly goal: string;
  readonly sol1: string;
  readonly sol2: string;
  readonly label: number;
}

/**
 * Bisk et al., "PIQA: Reasoning about Physical Commonsense in Natural Language", AAAI 2020, arXiv:1911.11641.
 * lm-eval's `piqa`, version 1.0.
 */
export const piqa: ChoiceTask<PiqaDoc> = {
  task: "piqa",
  label: "PIQA",
  outputType: "multiple_choice",
  version: 1,
  dataset: {
    path: "baber/piqa",
    folder: {
      files: { train: ["piqa/train.jsonl"], validation: ["piqa/valid.jsonl"] },
      read: async (path, name) => {
        const rows = await jsonLines(({ goal, sol1, sol2 }) => ({ goal, sol1, sol2 }))(path, name);
        return await withLabels(rows, path);
      },
    },
  },
  splits: { training: "train", validation: "validation" },
  fewshotSampler: "default",
  processDoc: (row) => ({
    ...row,
    goal: textField(row, "goal"),
    sol1: textField(row, "sol1"),
    sol2: textField(row, "sol2"),
    label: integerField(row, "label", 0, 1),
  }),
  docToText: (doc) => `Question: ${doc.goal}\nAnswer:`,
  docToChoice: (doc) => [doc.sol1, doc.sol2],
  docToTarget: (doc) => doc.label,
  metrics: ["acc", "acc_norm"],
  config: {
    doc_to_text: "Question: {{goal}}\nAnswer:",
    doc_to_choice: "{{[sol1, sol2]}}",
    doc_to_target: "label",
    doc_to_decontamination_query: "goal",
  },
};

/** The labels, 0 or 1, are in a file beside, one a line. */
async function withLabels(rows: PlacedRow[], path: string): Promise<PlacedRow[]> {
  const labelsPath = path.replace(/\.jsonl$/, "-labels.lst");
  const labels = (await readCsv(labelsPath)).flatMap(({ fields }) => fields);
  if (labels.length !== rows.length) {
    throw new PrunelabError(
      `labels do not fit the rows: ${labelsPath} has ${labels.length}, ${path} has ${rows.length}; get both files again`,
    );
  }
  return rows.map(({ row, place }, index) => ({ row: { ...row, label: Number(labels[index]) }, place }));
}

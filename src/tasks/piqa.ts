/** PIQA: which of two ways reaches a practical goal. */
import { integerField, textField } from "../datasets/fields.ts";
import type { Row } from "../datasets/source.ts";
import type { ChoiceTask } from "./task.ts";

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
  outputType: "multiple_choice",
  version: 1,
  dataset: { path: "baber/piqa" },
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

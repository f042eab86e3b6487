/** Dolly-15k: instructions and answers that people wrote, the text that models are calibrated on. */
import { jsonLines } from "./folder.ts";
import type { DatasetRef } from "./source.ts";

/** Conover et al., "Free Dolly: Introducing the World's First Truly Open Instruction-Tuned LLM", Databricks, 2023. */
export const dolly: DatasetRef = {
  path: "databricks/databricks-dolly-15k",
  split: "train",
  folder: {
    files: { train: ["dolly/databricks-dolly-15k.jsonl", "databricks-dolly-15k.jsonl"] },
    read: jsonLines(({ instruction, context, response, category }) => ({ instruction, context, response, category })),
  },
};

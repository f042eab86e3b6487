/** A task of one's own, for tests: jsonl files and a literal object. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ChoiceTask } from "../tasks/output-types/multiple-choice.ts";

/** Writes rows `{ text, choices, gold }` as one file a split, lines ending as on Windows, and gives their task. */
export function ownTask(folder: string, texts: Readonly<Record<string, readonly object[]>>): ChoiceTask {
  const files: Record<string, string> = {};
  for (const [split, rows] of Object.entries(texts)) {
    files[split] = join(folder, `${split}.jsonl`);
    writeFileSync(files[split], rows.map((row) => `${JSON.stringify(row)}\r\n`).join(""));
  }
  return {
    task: "own",
    outputType: "multiple_choice",
    version: 1,
    dataset: { path: "own", files },
    splits: { ...("train" in texts && { training: "train" }), validation: "validation" },
    metrics: ["acc", "acc_norm"],
    processDoc: (row) => row,
    docToText: ({ text }) => text as string,
    docToChoice: ({ choices }) => choices as string[],
    docToTarget: ({ gold }) => gold as number,
  };
}

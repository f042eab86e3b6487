/** Reads benchmarks from a folder of their original files, and gives the rows the fields that the Hub serves. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { PrunelabError } from "../errors.ts";
import { readCsv } from "./csv.ts";
import { atPlace, isRow, objectField, textField, wrongField } from "./fields.ts";
import { readJsonLines } from "./jsonl.ts";
import type { DatasetRef, PlacedRow, Row } from "./source.ts";
import { readWikitextPages } from "./wikitext-pages.ts";

/** How one set lies in a folder. */
interface Layout {
  /** By split, the files that may hold it; the first that is there is read. `*` stands for the configuration's name. */
  readonly files: Readonly<Record<string, readonly string[]>>;
  readonly read: (path: string, ref: DatasetRef) => Promise<PlacedRow[]>;
}

/** Files that hold only some of their split's rows. */
const partialFiles = new Set([
  "hellaswag/hellaswag_train_head.jsonl",
  "hellaswag/hellaswag_val_first200.jsonl",
  "hellaswag/hellaswag_val_sample1000_original.jsonl",
  "triviaqa/foundry_triviaqa_sm_sub.jsonl",
]);

/** By the set's id on the Hub. */
const layouts: Readonly<Record<string, Layout>> = {
  "Rowan/hellaswag": {
    files: {
      train: ["hellaswag/hellaswag_train.jsonl", "hellaswag/hellaswag_train_head.jsonl"],
      validation: ["hellaswag/hellaswag_val.jsonl", "hellaswag/hellaswag_val_first200.jsonl"],
      // Our own name: a random thousand of the validation rows.
      validation_sample1000: ["hellaswag/hellaswag_val_sample1000_original.jsonl"],
    },
    read: (path) => jsonl(path, hellaswagRow),
  },
  "cais/mmlu": {
    files: { dev: ["mmlu/dev/*_dev.csv"], validation: ["mmlu/val/*_val.csv"], test: ["mmlu/test/*_test.csv"] },
    read: async (path, { name = "" }) =>
      (await readCsv(path)).map(({ fields, place }) => ({ row: atPlace(place, () => mmluRow(fields, name)), place })),
  },
  "baber/piqa": {
    files: { train: ["piqa/train.jsonl"], validation: ["piqa/valid.jsonl"] },
    read: async (path) => withLabels(await jsonl(path, ({ goal, sol1, sol2 }) => ({ goal, sol1, sol2 })), path),
  },
  "allenai/ai2_arc": {
    files: { train: ["arc/*/*-Train.jsonl"], validation: ["arc/*/*-Dev.jsonl"], test: ["arc/*/*-Test.jsonl"] },
    read: (path) => jsonl(path, arcRow),
  },
  "allenai/winogrande": {
    files: { train: ["winogrande/train_xl.jsonl"], validation: ["winogrande/dev.jsonl"] },
    read: (path) => jsonl(path, ({ sentence, option1, option2, answer }) => ({ sentence, option1, option2, answer })),
  },
  // BoolQ's own files have the passage alone; the Hub's copy begins each passage with its title and " -- ".
  "aps/super_glue": {
    files: { train: ["*/train.jsonl"], validation: ["*/dev.jsonl"] },
    read: (path) => jsonl(path, boolqRow),
  },
  "databricks/databricks-dolly-15k": {
    files: { train: ["dolly/databricks-dolly-15k.jsonl", "databricks-dolly-15k.jsonl"] },
    read: (path) =>
      jsonl(path, ({ instruction, context, response, category }) => ({ instruction, context, response, category })),
  },
  "mandarjoshi/trivia_qa": {
    files: {
      train: ["triviaqa/train.jsonl"],
      validation: ["triviaqa/validation.jsonl", "triviaqa/foundry_triviaqa_sm_sub.jsonl"],
    },
    read: (path) => jsonl(path, triviaqaRow),
  },
  "EleutherAI/wikitext_document_level": {
    files: {
      train: ["wikitext2/wiki.train.raw"],
      validation: ["wikitext2/wiki.valid.raw"],
      test: ["wikitext2/wiki.test.raw"],
    },
    read: readWikitextPages,
  },
};

/** The rows of a set in a folder, or undefined where the folder does not have them. */
export async function readFolder(
  folder: string,
  ref: DatasetRef,
): Promise<{ rows: PlacedRow[]; path: string; complete: boolean } | undefined> {
  const layout = layouts[ref.path];
  for (const pattern of layout?.files[ref.split] ?? []) {
    const file = pattern.replaceAll("*", ref.name ?? "");
    const path = join(folder, file);
    if (await exists(path)) return { rows: await layout!.read(path, ref), path, complete: !partialFiles.has(file) };
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function jsonl(path: string, toHub: (row: Row, index: number) => Row): Promise<PlacedRow[]> {
  const rows: PlacedRow[] = [];
  for await (const { row, place } of readJsonLines(path)) {
    rows.push({ row: atPlace(place, () => toHub(row, rows.length)), place });
  }
  return rows;
}

/** The Hub has labels as strings. A row that was rebuilt from a preprocessed copy keeps its mark. */
function hellaswagRow(row: Row): Row {
  const { ind, activity_label, ctx_a, ctx_b, ctx, endings, source_id, split, split_type, label, reconstructed } = row;
  return {
    ...{ ind, activity_label, ctx_a, ctx_b, ctx, endings, source_id, split, split_type },
    label: typeof label === "number" ? String(label) : label,
    ...(reconstructed === undefined ? {} : { reconstructed }),
  };
}

/** Fields: question, four choices, the answer's letter. */
function mmluRow(fields: readonly string[], subject: string): Row {
  if (fields.length !== 6) throw new PrunelabError(`a record must have 6 fields: ${fields.length}`);
  const [question, ...rest] = fields;
  const letter = rest.pop()!;
  const answer = ["A", "B", "C", "D"].indexOf(letter);
  if (answer < 0) throw wrongField("answer", "A, B, C or D", letter);
  return { question, subject, choices: rest, answer };
}

function arcRow(row: Row): Row {
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
}

function boolqRow(row: Row, index: number): Row {
  if (typeof row.answer !== "boolean") throw wrongField("answer", "true or false", row.answer);
  return { question: row.question, passage: row.passage, idx: index, label: Number(row.answer) };
}

/** llm-foundry's copy has the prompt in place of the question; other files have the Hub's fields. */
function triviaqaRow(row: Row): Row {
  if (row.question !== undefined) return row;
  const [, question] = /^Question: (.*)\nAnswer:$/s.exec(textField(row, "context")) ?? [];
  if (question === undefined) throw wrongField("context", '"Question: …", a new line and "Answer:"', row.context);
  return { question, answer: { aliases: row.aliases, value: row.answer } };
}

/** PIQA keeps its labels, 0 or 1, in a file beside, one a line. */
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

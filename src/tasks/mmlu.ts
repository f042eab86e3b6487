/** MMLU: exam questions of 57 subjects with four answers each. */
import { integerField, textField, textsField, wrongField } from "../datasets/fields.ts";
import { csvRecords, type FolderLayout } from "../datasets/folder.ts";
import type { Row } from "../datasets/source.ts";
import { PrunelabError } from "../errors.ts";
import { strip } from "../python/text.ts";
import type { TaskGroup } from "./find-tasks.ts";
import type { ChoiceTask } from "./output-types/multiple-choice.ts";

interface MmluDoc extends Row {
  readonly question: string;
  readonly choices: readonly string[];
  readonly answer: number;
}

const LETTERS = ["A", "B", "C", "D"];

const folder: FolderLayout = {
  files: { dev: ["mmlu/dev/*_dev.csv"], validation: ["mmlu/val/*_val.csv"], test: ["mmlu/test/*_test.csv"] },
  // Question, four choices, the answer's letter.
  read: csvRecords((fields, subject) => {
    if (fields.length !== 6) throw new PrunelabError(`a record must have 6 fields: ${fields.length}`);
    const [question, ...rest] = fields;
    const letter = rest.pop()!;
    const answer = LETTERS.indexOf(letter);
    if (answer < 0) throw wrongField("answer", "A, B, C or D", letter);
    return { question, subject, choices: rest, answer };
  }),
};

/**
 * One subject of Hendrycks et al., "Measuring Massive Multitask Language Understanding", ICLR 2021, arXiv:2009.03300.
 * lm-eval's `mmlu_<subject>` with the default template, version 1.0.
 */
function mmluTask(subject: string): ChoiceTask<MmluDoc> {
  return {
    task: `mmlu_${subject}`,
    label: `MMLU ${subject.replaceAll("_", " ")}`,
    outputType: "multiple_choice",
    task_alias: subject,
    version: 1,
    dataset: { path: "cais/mmlu", name: subject, folder },
    splits: { test: "test", fewshot: "dev" },
    fewshotSampler: "first_n",
    description: `The following are multiple choice questions (with answers) about ${subject.replaceAll("_", " ")}.\n\n`,
    processDoc: (row) => ({
      ...row,
      question: textField(row, "question"),
      choices: textsField(row, "choices", 4),
      answer: integerField(row, "answer", 0, 3),
    }),
    docToText: ({ question, choices }) =>
      [strip(question), ...LETTERS.map((letter, index) => `${letter}. ${choices[index]}`), "Answer:"].join("\n"),
    docToChoice: () => LETTERS,
    docToTarget: (doc) => doc.answer,
    metrics: ["acc"],
    config: {
      doc_to_text:
        "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:",
      doc_to_choice: LETTERS,
      doc_to_target: "answer",
    },
  };
}

/** In lm-eval's order of groups, and by name within. */
const subjects = {
  stem: [
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "electrical_engineering",
    "elementary_mathematics",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_mathematics",
    "high_school_physics",
    "high_school_statistics",
    "machine_learning",
  ],
  other: [
    "business_ethics",
    "clinical_knowledge",
    "college_medicine",
    "global_facts",
    "human_aging",
    "management",
    "marketing",
    "medical_genetics",
    "miscellaneous",
    "nutrition",
    "professional_accounting",
    "professional_medicine",
    "virology",
  ],
  social_sciences: [
    "econometrics",
    "high_school_geography",
    "high_school_government_and_politics",
    "high_school_macroeconomics",
    "high_school_microeconomics",
    "high_school_psychology",
    "human_sexuality",
    "professional_psychology",
    "public_relations",
    "security_studies",
    "sociology",
    "us_foreign_policy",
  ],
  humanities: [
    "formal_logic",
    "high_school_european_history",
    "high_school_us_history",
    "high_school_world_history",
    "international_law",
    "jurisprudence",
    "logical_fallacies",
    "moral_disputes",
    "moral_scenarios",
    "philosophy",
    "prehistory",
    "professional_law",
    "world_religions",
  ],
};

/** All 57 subjects. */
export const mmluTasks: readonly ChoiceTask<MmluDoc>[] = Object.values(subjects).flat().map(mmluTask);

/** lm-eval's `mmlu` and its four parts, version 2. */
export const mmluGroups: readonly TaskGroup[] = [
  {
    ...{ group: "mmlu", label: "MMLU", memberName: "subjects", version: 2, metrics: ["acc"] },
    members: Object.keys(subjects).map((part) => `mmlu_${part}`),
  },
  ...Object.entries(subjects).map(([part, members]) => ({
    group: `mmlu_${part}`,
    label: `MMLU ${part.replaceAll("_", " ")}`,
    memberName: "subjects",
    group_alias: part.replace("_", " "),
    version: 2,
    members: members.map((subject) => `mmlu_${subject}`),
    metrics: ["acc"] as const,
  })),
];

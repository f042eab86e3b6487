/** Numbers that others published, as data, each with its source. */

/** A task's accuracy in percent, dense and pruned. */
export interface CardRow {
  /** lm-eval's task name. */
  readonly task: string;
  readonly label: string;
  readonly dense: number;
  readonly pruned: number;
  readonly change: number;
}

/**
 * The main table of the model card that Prunelab recreates: 50 % magnitude pruning of Gemma 3 270M, zero-shot accuracy on the first 200
 * documents of each task. Source: Hugging Face, sweelol/gemma3-270m-pruned-baseline-50pc.
 */
export const sweelolCard: readonly CardRow[] = [
  { task: "hellaswag", label: "HellaSwag", dense: 43.5, pruned: 29.5, change: -14.0 },
  { task: "mmlu_formal_logic", label: "MMLU formal logic", dense: 25.4, pruned: 29.37, change: 3.97 },
  {
    task: "mmlu_high_school_computer_science",
    label: "MMLU high school computer science",
    dense: 24.0,
    pruned: 28.0,
    change: 4.0,
  },
  { task: "mmlu_professional_law", label: "MMLU professional law", dense: 27.0, pruned: 26.0, change: -1.0 },
  {
    task: "mmlu_high_school_mathematics",
    label: "MMLU high school mathematics",
    dense: 26.0,
    pruned: 24.5,
    change: -1.5,
  },
  { task: "mmlu_abstract_algebra", label: "MMLU abstract algebra", dense: 22.0, pruned: 23.0, change: 1.0 },
];

/** The card's average over its five MMLU subjects, each weighing the same. */
export const sweelolAverageMmlu: CardRow = {
  task: "mmlu",
  label: "Average MMLU (5 subjects)",
  dense: 24.88,
  pruned: 26.17,
  change: 1.29,
};

/** A table of scores in percent. */
export interface PublishedTable {
  readonly id: "270m-pt" | "270m-it" | "reasoning-it" | "reasoning-pt" | "stem-it" | "stem-pt";
  readonly title: string;
  readonly source: string;
  readonly models: readonly string[];
  /** Whether the models are chat models, which are asked by their own template. */
  readonly isChat?: true;
  readonly rows: readonly PublishedRow[];
}

export interface PublishedRow {
  readonly benchmark: string;
  /** As published: `"10-shot"`, `"few-shot"`, `"-"` where the table says nothing. */
  readonly shots: string;
  /** One for each model. */
  readonly scores: readonly number[];
  /** lm-eval's task of the same name, where Prunelab has it, with the number of examples. */
  readonly task?: string;
  readonly numFewshot?: number;
}

const source = "Google DeepMind, Gemma 3 model card (PT: pre-trained, IT: instruction-tuned)";
const fourIt = ["Gemma 3 IT 1B", "Gemma 3 IT 4B", "Gemma 3 IT 12B", "Gemma 3 IT 27B"];
const fourPt = ["Gemma 3 PT 1B", "Gemma 3 PT 4B", "Gemma 3 PT 12B", "Gemma 3 PT 27B"];

/** All tables of the card, which sweelol/gemma3-270m-pruned-baseline-50pc repeats. */
export const gemmaTables: readonly PublishedTable[] = [
  {
    id: "270m-pt",
    title: "Gemma 3 270M, pre-trained",
    source,
    models: ["Gemma 3 PT 270M"],
    rows: [
      { benchmark: "HellaSwag", shots: "10-shot", scores: [40.9], task: "hellaswag", numFewshot: 10 },
      { benchmark: "BoolQ", shots: "0-shot", scores: [61.4], task: "boolq", numFewshot: 0 },
      { benchmark: "PIQA", shots: "0-shot", scores: [67.7], task: "piqa", numFewshot: 0 },
      { benchmark: "TriviaQA", shots: "5-shot", scores: [15.4], task: "triviaqa", numFewshot: 5 },
      { benchmark: "ARC-c", shots: "25-shot", scores: [29.0], task: "arc_challenge", numFewshot: 25 },
      { benchmark: "ARC-e", shots: "0-shot", scores: [57.7], task: "arc_easy", numFewshot: 0 },
      { benchmark: "WinoGrande", shots: "5-shot", scores: [52.0], task: "winogrande", numFewshot: 5 },
    ],
  },
  {
    id: "270m-it",
    title: "Gemma 3 270M, instruction-tuned",
    source,
    models: ["Gemma 3 IT 270M"],
    isChat: true,
    rows: [
      { benchmark: "HellaSwag", shots: "0-shot", scores: [37.7], task: "hellaswag", numFewshot: 0 },
      { benchmark: "PIQA", shots: "0-shot", scores: [66.2], task: "piqa", numFewshot: 0 },
      { benchmark: "ARC-c", shots: "0-shot", scores: [28.2], task: "arc_challenge", numFewshot: 0 },
      { benchmark: "WinoGrande", shots: "0-shot", scores: [52.3], task: "winogrande", numFewshot: 0 },
      { benchmark: "BIG-Bench Hard", shots: "few-shot", scores: [26.7] },
      { benchmark: "IF Eval", shots: "0-shot", scores: [51.2] },
    ],
  },
  {
    id: "reasoning-it",
    title: "Gemma 3 1B to 27B, instruction-tuned: reasoning and factuality",
    source,
    models: fourIt,
    rows: [
      { benchmark: "GPQA Diamond", shots: "0-shot", scores: [19.2, 30.8, 40.9, 42.4] },
      { benchmark: "SimpleQA", shots: "0-shot", scores: [2.2, 4.0, 6.3, 10.0] },
      { benchmark: "FACTS Grounding", shots: "-", scores: [36.4, 70.1, 75.8, 74.9] },
      { benchmark: "BIG-Bench Hard", shots: "0-shot", scores: [39.1, 72.2, 85.7, 87.6] },
      { benchmark: "BIG-Bench Extra Hard", shots: "0-shot", scores: [7.2, 11.0, 16.3, 19.3] },
      { benchmark: "IFEval", shots: "0-shot", scores: [80.2, 90.2, 88.9, 90.4] },
    ],
  },
  {
    id: "reasoning-pt",
    title: "Gemma 3 1B to 27B, pre-trained: reasoning and factuality",
    source,
    models: fourPt,
    rows: [
      { benchmark: "HellaSwag", shots: "10-shot", scores: [62.3, 77.2, 84.2, 85.6] },
      { benchmark: "BoolQ", shots: "0-shot", scores: [63.2, 72.3, 78.8, 82.4] },
      { benchmark: "PIQA", shots: "0-shot", scores: [73.8, 79.6, 81.8, 83.3] },
      { benchmark: "SocialIQA", shots: "0-shot", scores: [48.9, 51.9, 53.4, 54.9] },
      { benchmark: "TriviaQA", shots: "5-shot", scores: [39.8, 65.8, 78.2, 85.5] },
      { benchmark: "Natural Questions", shots: "5-shot", scores: [9.48, 20.0, 31.4, 36.1] },
      { benchmark: "ARC-c", shots: "25-shot", scores: [38.4, 56.2, 68.9, 70.6] },
      { benchmark: "ARC-e", shots: "0-shot", scores: [73.0, 82.4, 88.3, 89.0] },
      { benchmark: "WinoGrande", shots: "5-shot", scores: [58.2, 64.7, 74.3, 78.8] },
      { benchmark: "BIG-Bench Hard", shots: "few-shot", scores: [28.4, 50.9, 72.6, 77.7] },
      { benchmark: "DROP", shots: "1-shot", scores: [42.4, 60.1, 72.2, 77.2] },
    ],
  },
  {
    id: "stem-it",
    title: "Gemma 3 1B to 27B, instruction-tuned: STEM and code",
    source,
    models: fourIt,
    rows: [
      { benchmark: "MMLU (Pro)", shots: "0-shot", scores: [14.7, 43.6, 60.6, 67.5] },
      { benchmark: "LiveCodeBench", shots: "0-shot", scores: [1.9, 12.6, 24.6, 29.7] },
      { benchmark: "Bird-SQL (dev)", shots: "-", scores: [6.4, 36.3, 47.9, 54.4] },
      { benchmark: "Math", shots: "0-shot", scores: [48.0, 75.6, 83.8, 89.0] },
      { benchmark: "HiddenMath", shots: "0-shot", scores: [15.8, 43.0, 54.5, 60.3] },
      { benchmark: "MBPP", shots: "3-shot", scores: [35.2, 63.2, 73.0, 74.4] },
      { benchmark: "HumanEval", shots: "0-shot", scores: [41.5, 71.3, 85.4, 87.8] },
      { benchmark: "Natural2Code", shots: "0-shot", scores: [56.0, 70.3, 80.7, 84.5] },
      { benchmark: "GSM8K", shots: "0-shot", scores: [62.8, 89.2, 94.4, 95.9] },
    ],
  },
  {
    id: "stem-pt",
    title: "Gemma 3 4B to 27B, pre-trained: STEM and code",
    source,
    models: fourPt.slice(1),
    rows: [
      { benchmark: "MMLU", shots: "5-shot", scores: [59.6, 74.5, 78.6] },
      { benchmark: "MMLU (Pro COT)", shots: "5-shot", scores: [29.2, 45.3, 52.2] },
      { benchmark: "AGIEval", shots: "3-5-shot", scores: [42.1, 57.4, 66.2] },
      { benchmark: "MATH", shots: "4-shot", scores: [24.2, 43.3, 50.0] },
      { benchmark: "GSM8K", shots: "8-shot", scores: [38.4, 71.0, 82.6] },
      { benchmark: "GPQA", shots: "5-shot", scores: [15.0, 25.4, 24.3] },
      { benchmark: "MBPP", shots: "3-shot", scores: [46.0, 60.4, 65.6] },
      { benchmark: "HumanEval", shots: "0-shot", scores: [36.0, 45.7, 48.8] },
    ],
  },
];

/** A table's rows with a column for each model, for a frame. */
export function publishedRows({ rows, models }: PublishedTable): Record<string, string | number>[] {
  return rows.map(({ benchmark, shots, scores }) => ({
    benchmark,
    shots,
    ...Object.fromEntries(models.map((model, column) => [model, scores[column]!])),
  }));
}

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

/** lm-eval's names of tasks and groups as people write them. */

const labels: Readonly<Record<string, string>> = {
  hellaswag: "HellaSwag",
  mmlu: "MMLU",
  boolq: "BoolQ",
  piqa: "PIQA",
  arc_easy: "ARC-Easy",
  arc_challenge: "ARC-Challenge",
  winogrande: "WinoGrande",
  triviaqa: "TriviaQA",
  wikitext: "WikiText-2",
};

/** E.g. `mmlu_formal_logic` → "MMLU formal logic"; an unknown name as it is. */
export function taskLabel(name: string): string {
  return labels[name] ?? (name.startsWith("mmlu_") ? `MMLU ${name.slice(5).replaceAll("_", " ")}` : name);
}

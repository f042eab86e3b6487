/** The model card's table with ours beside it, from the evaluations of the dense and the pruned model. */
import { textTable as inColumns } from "../base/text-table.ts";
import type { Evaluation } from "../evaluate/evaluation.ts";
import { type CardRow, sweelolAverageMmlu, sweelolCard } from "./published.ts";

/** A line of the table; percentages, null where a number is missing. */
export interface CardTableRow {
  readonly label: string;
  /** Documents scored. */
  readonly n: number;
  readonly dense: number;
  readonly pruned: number;
  readonly change: number;
  /** What the card says; it has no pooled share. */
  readonly card?: CardRow;
}

/**
 * One row for each task of the card that both models were scored on. Where all five MMLU subjects were, two rows before them: their plain mean, which is
 * the card's average, and the share of all their documents together, which is lm-eval's.
 */
export function compareWithCard(dense: Evaluation, pruned: Evaluation): CardTableRow[] {
  const rows = sweelolCard.flatMap((card) => {
    const before = accuracy(dense, card.task);
    const after = accuracy(pruned, card.task);
    return before && after ? [row(card, before.n, before.value, after.value)] : [];
  });
  const subjects = rows.filter(({ card }) => card?.task.startsWith("mmlu_"));
  if (subjects.length < sweelolCard.length - 1) return rows;
  const n = subjects.reduce((sum, row) => sum + row.n, 0);
  const together = (label: string, share: (row: CardTableRow) => number, card?: CardRow): CardTableRow => {
    const sum = (side: "dense" | "pruned") => subjects.reduce((total, row) => total + share(row) * row[side], 0);
    const [dense, pruned] = [sum("dense"), sum("pruned")];
    return { label, n, dense, pruned, change: pruned - dense, ...(card && { card }) };
  };
  return [
    together(`${sweelolAverageMmlu.label}, plain mean`, () => 1 / subjects.length, sweelolAverageMmlu),
    together(`MMLU (${subjects.length} subjects), pooled share`, (row) => row.n / n),
    ...rows,
  ];
}

/** The same as flat rows for a frame: percentages, changes in points. */
export function cardRows(dense: Evaluation, pruned: Evaluation): Record<string, string | number | null>[] {
  return compareWithCard(dense, pruned).map(({ label, n, dense, pruned, change, card }) => ({
    ...{ task: label, n, dense, pruned, change },
    ...{
      "card: dense": card?.dense ?? null,
      "card: pruned": card?.pruned ?? null,
      "card: change": card?.change ?? null,
    },
  }));
}

function row(card: CardRow, n: number, dense: number, pruned: number): CardTableRow {
  return { label: card.label, n, dense, pruned, change: pruned - dense, card };
}

function accuracy(evaluation: Evaluation, task: string): { value: number; n: number } | undefined {
  const found = evaluation.tasks.find((candidate) => candidate.task.task === task);
  return found && { value: 100 * (found.metrics.acc?.value ?? Number.NaN), n: found.samples.length };
}

const header = ["task", "n", "dense", "pruned", "change", "card: dense", "card: pruned", "card: change"];

/** The rows as cells of text, header first: percentages with two digits, changes in points with their sign. */
function cells(rows: readonly CardTableRow[]): string[][] {
  const percent = (value: number) => value.toFixed(2);
  // A change that rounds to nothing has no sign.
  const points = (value: number) => (value >= 0.005 ? "+" : "") + value.toFixed(2).replace(/^-(0\.00)$/, "$1");
  const body = rows.map(({ label, n, dense, pruned, change, card }) => [
    label,
    String(n),
    percent(dense),
    percent(pruned),
    points(change),
    card ? percent(card.dense) : "–",
    card ? percent(card.pruned) : "–",
    card ? points(card.change) : "–",
  ]);
  return [header, ...body];
}

/** The table in columns for a terminal. */
export function textTable(rows: readonly CardTableRow[]): string {
  return inColumns(cells(rows), [0]);
}

/** The table in Markdown. */
export function markdownTable(rows: readonly CardTableRow[]): string {
  const [head, ...body] = cells(rows);
  const line = (texts: readonly string[]) => `| ${texts.join(" | ")} |`;
  const rule = header.map((_, column) => (column === 0 ? "---" : "---:"));
  return [line(head!), line(rule), ...body.map(line)].join("\n");
}

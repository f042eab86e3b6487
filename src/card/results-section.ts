/** The table of a card, in the columns and order that cards of pruned models have, with intervals, and what may be concluded from it. */
import { escapeMarkdown, shortName } from "../report/document.ts";
import { percent, signed } from "../report/numbers.ts";
import { labelOf, memberNameOf } from "../tasks/find-tasks.ts";
import type { CardScore, Estimate } from "./scored-tasks.ts";

/** Averages and tasks by themselves, then each group's tasks under a heading; below it the findings and how to read it. */
export function resultsTable(scores: readonly CardScore[], name: string, base: string | undefined): string {
  const header = [
    "Benchmark task",
    shortName(name),
    "95 %",
    base === undefined ? "base" : `base (${shortName(base)})`,
    "95 %",
    "change",
    "95 %",
    "documents",
    "shots",
  ];
  const main = scores.filter(({ within }) => within === null);
  const groups = [...new Set(scores.flatMap(({ within }) => within ?? []))];
  const rows = [
    ...main.map(cells),
    ...groups.flatMap((group) => [
      [
        `**${escapeMarkdown(`${labelOf(group)} ${memberNameOf(group)}:`)}**`,
        ...Array<string>(header.length - 1).fill(""),
      ],
      ...scores.filter(({ within }) => within === group).map(cells),
    ]),
  ];
  const line = (texts: readonly string[]) => `| ${texts.join(" | ")} |`;
  const table = [
    line(header.map(escapeMarkdown)),
    line(header.map((_, column) => (column === 0 ? "---" : "---:"))),
    ...rows.map(line),
  ];
  const demo = scores
    .filter(({ isDemo, dataset }) => isDemo && dataset !== null)
    .map(({ label }) => escapeMarkdown(label));
  return [
    ...(demo.length > 0
      ? [`> **Not the benchmark: ${demo.join(", ")} ran on small made-up documents; these numbers mean nothing.**`]
      : []),
    table.join("\n"),
    main
      .filter(({ isDemo }) => !isDemo)
      .map(finding)
      .map((text) => `- ${text}`)
      .join("\n"),
    notes(scores),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function cells(score: CardScore): string[] {
  const { label, metric, isShare, model, base, change, n, originalCount, shots } = score;
  const number = (value: number) => (isShare ? `${(100 * value).toFixed(2)}%` : value.toFixed(2));
  const difference = (value: number) => `${signed((isShare ? 100 : 1) * value, 2)}${isShare ? "%" : ""}`;
  const range = (estimate: Estimate | null, text: (value: number) => string) =>
    estimate?.low === undefined ? "" : `${text(estimate.low)} to ${text(estimate.high!)}`;
  return [
    `${escapeMarkdown(label)}${metric === "acc" ? "" : ` (${escapeMarkdown(metric)})`}`,
    number(model.value),
    range(model, number),
    base === null ? "" : number(base.value),
    range(base, number),
    change === null ? "" : difference(change.value),
    range(change, difference),
    n < originalCount ? `${n} of ${originalCount}` : String(n),
    String(shots),
  ];
}

/** What one line allows to conclude, by its own interval. */
function finding({ label, isShare, model, base, change, chance }: CardScore): string {
  const name = escapeMarkdown(label);
  const size = (share: number) => percent(Math.abs(share));
  const holds = ({ low, high }: Estimate, share: number) => low !== undefined && low <= share && share <= high!;
  if (!isShare)
    return base === null
      ? `${name}: ${model.value.toFixed(2)}.`
      : `${name}: ${base.value.toFixed(2)} before, ${model.value.toFixed(2)} after.`;
  const guessing =
    chance !== null && holds(model, chance)
      ? base === null || holds(base, chance)
        ? ` It sits at guessing (${size(chance)} %)${base === null ? "" : " before and after"}, so it cannot show what the model knows.`
        : ` The pruned model is not clearly better than guessing (${size(chance)} %).`
      : "";
  if (change === null) return `${name}: ${size(model.value)} % right; the base was not asked the same.${guessing}`;
  if (change.low === undefined || change.high === undefined) return `${name}: ${size(model.value)} % right.${guessing}`;
  const isClear = change.low > 0 || change.high < 0;
  if (!isClear) return `${name}: no difference can be concluded.${guessing}`;
  const [from, to] = [change.low, change.high].map(Math.abs).sort((a, b) => a - b);
  return `${name} ${change.value < 0 ? "falls" : "rises"} by ${size(change.value)} points (${size(from!)} to ${size(to!)}).${guessing}`;
}

function notes(scores: readonly CardScore[]): string {
  const average = scores.some(({ dataset }) => dataset === null);
  return [
    "Scored by lm-evaluation-harness's rules with Prunelab: shares of right answers, changes in points.",
    "95 %: the interval of the number beside it (Wilson's; of changes Newcombe's, paired; exact below 30 documents), each line by itself.",
    ...(average ? ["An average is the plain mean of its tasks, with a normal interval."] : []),
  ].join(" ");
}

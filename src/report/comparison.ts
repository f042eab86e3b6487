/** A comparison as a document: what may be concluded, the numbers, and how to read them. */
import type { ComparisonData } from "../evaluate/compare.ts";
import type { ChoiceRow, ComparisonRow } from "../evaluate/comparison-row.ts";
import { conclusions, shortNames } from "./conclusion.ts";
import type { Block, Table } from "./document.ts";
import { percent, points, pValue, signed } from "./numbers.ts";

export function comparisonBlocks(data: ComparisonData): Block[] {
  return [
    { heading: `${data.b} against ${data.a}`, level: 2 },
    { list: conclusions(data) },
    { heading: "Right answers", level: 3 },
    { table: accuracyTable(data) },
    { heading: "Which answers", level: 3 },
    { table: answersTable(data) },
    { heading: "How to read this", level: 3 },
    { list: notes(data) },
  ];
}

function accuracyTable(data: ComparisonData): Table {
  const [a, b] = shortNames(data);
  const header = [
    "task",
    "documents",
    a,
    "95 %",
    b,
    "95 %",
    "change",
    "95 %",
    "lost",
    "won",
    "p",
    "p (Holm)",
    "detectable",
  ];
  const rows = data.rows.flatMap((row) => [accuracyRow(row), ...meanRow(row)]);
  return { header, rows };
}

function accuracyRow(row: ComparisonRow): string[] {
  const share = (value: number, low: number, high: number) => [percent(value), `${percent(low)} to ${percent(high)}`];
  return [
    row.kind === "task" ? row.label : `${row.label}, pooled share`,
    row.saved ? `${row.n} of ${row.n + row.saved}` : String(row.n),
    ...share(row.a, row.aLow, row.aHigh),
    ...share(row.b, row.bLow, row.bHigh),
    points(row.change),
    `${points(row.changeLow)} to ${points(row.changeHigh)}`,
    String(row.lost),
    String(row.won),
    pValue(row.p),
    pValue(row.pHolm),
    row.detectable === null ? "" : percent(row.detectable),
  ];
}

/** A group's accuracy if each of its tasks weighs the same, as model cards report it; the pooled share weighs each document the same. */
function meanRow(row: ComparisonRow): string[][] {
  const { aMeanOfTasks: a, bMeanOfTasks: b } = row;
  if (a === null || b === null) return [];
  return [[`${row.label}, plain mean`, "", percent(a), "", percent(b), "", points(b - a), ...Array(6).fill("")]];
}

function answersTable(data: ComparisonData): Table {
  const [nameA, nameB] = shortNames(data);
  const header = ["task", "guessing", "best constant", "right", nameA, nameB, "margin", "p (Holm)"];
  const rows = data.rows.map((row) => {
    const choices = data.choices.filter(({ name }) => name === row.name);
    return [
      row.label,
      percent(row.chance),
      `${percent(row.bestConstant)} (${row.bestConstantChoice})`,
      histogram(choices, "right"),
      histogram(choices, "a") + (row.aDegenerate ? " !" : ""),
      histogram(choices, "b") + (row.bDegenerate ? " !" : ""),
      ...margin(row),
    ];
  });
  return { header, rows };
}

function histogram(choices: readonly ChoiceRow[], of: "right" | "a" | "b"): string {
  return choices.map((row) => `${row.choice} ${row[of]}`).join(", ");
}

function margin({ marginChange, marginLow, marginHigh, marginPHolm, marginN, n }: ComparisonRow): string[] {
  if (marginChange === null || marginPHolm === null) return ["", ""];
  const left = marginN < n ? `, ${marginN} documents` : "";
  // Too few documents have a p, but no range.
  const range =
    marginLow === null || marginHigh === null ? "" : ` (${signed(marginLow, 2)} to ${signed(marginHigh, 2)})`;
  return [`${signed(marginChange, 2)}${range}${left}`, pValue(marginPHolm)];
}

function notes({ seed, resamples, limit, rows }: ComparisonData): string[] {
  const isFlagged = rows.some(({ aDegenerate, bDegenerate }) => aDegenerate || bDegenerate);
  return [
    "Shares are in percent of the documents, changes in points. The 95 % range beside a number is where the number would likely lie (95 %) if very many such documents were asked (Wilson's interval; for changes Newcombe's paired one; exact ones below 30 documents).",
    "lost, won: documents that only the first, and only the second model got right. p: how often luck alone would split them as unevenly between equally good models (McNemar's test: exact below 25 such documents, else mid-p); below 0.05 counts as a finding.",
    "p (Holm): the more rows one looks at, the likelier luck alone makes one of them look like a finding, so p is raised to make up for that: once over the tasks and groups as a whole, and once over the parts of each group.",
    "detectable: a true difference of this many points would be found 4 times in 5 (p below 0.05); smaller ones are often missed.",
    "guessing, best constant: what choosing blindly, or always the same answer, gets right on these documents.",
    `margin: the change, in nats, of the right answer's log-likelihood less the best wrong one's. Finer than counting, but it also moves when a model only comes to answer more evenly (sign flips and subsets below 100 documents, else bootstrap; ${resamples} draws, seed ${seed}).`,
    ...(rows.some(({ saved }) => saved !== null)
      ? [
          "Stopped when decided: one looked after every few documents, so p and the range of the change are those of a confidence sequence, which hold whenever one stops (Howard et al. 2021); the shares' own ranges do not know of it.",
        ]
      : []),
    ...(rows.some(({ kind }) => kind === "group")
      ? [
          "pooled share: of all documents of the group together; plain mean: of its tasks' shares, each weighing the same.",
        ]
      : []),
    ...(isFlagged ? ["!: the same answer on 95 % of the documents or more."] : []),
    ...(limit === null
      ? []
      : [`Limit ${limit}: the first documents of each task were asked, no random draw; the ranges do not cover that.`]),
  ];
}

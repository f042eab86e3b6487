/** What may be concluded from a comparison, in sentences for readers without statistics. */
import type { ComparisonData } from "../evaluate/compare.ts";
import type { ComparisonRow } from "../evaluate/comparison-row.ts";
import { labelOf, memberNameOf } from "../tasks/find-tasks.ts";
import { shortName } from "./document.ts";
import { percent, pValue } from "./numbers.ts";

/** Names of the two models for sentences. */
type Names = readonly [a: string, b: string];

/** One entry of one or two sentences for each finding; what weakens all others comes first. */
export function conclusions(data: ComparisonData): string[] {
  const names = shortNames(data);
  const overview = data.rows.filter(({ within }) => within === null);
  return [
    ...warnings(data),
    ...overview.flatMap((row) => [finding(row, names), ...partsFinding(row, data.rows)]),
    ...sameAnswers(data, names),
    ...notCompared(data),
  ];
}

/** The models' names without their owners; told apart by order where they are the same. */
export function shortNames({ a, b }: Pick<ComparisonData, "a" | "b">): Names {
  return shortName(a) === shortName(b) ? ["the first model", "the second model"] : [shortName(a), shortName(b)];
}

function warnings({ rows, sameWeights }: ComparisonData): string[] {
  const demo = rows.filter(({ isDemo, kind }) => isDemo && kind === "task").map(({ name }) => labelOf(name));
  const sentences = [];
  if (demo.length > 0) {
    sentences.push(`Made-up demo documents stand in for ${listed(demo)}: their numbers say nothing about the models.`);
  }
  if (sameWeights) sentences.push("Both runs are of the same weights: a difference comes from the computation alone.");
  return sentences;
}

function notCompared({ leftOut }: ComparisonData): string[] {
  return leftOut.length === 0 ? [] : [`Not compared, since only multiple choice is: ${listed(leftOut.map(labelOf))}.`];
}

function finding(row: ComparisonRow, names: Names): string {
  const change =
    row.lost + row.won === 0 ? sameFinding(row) : row.verdict === "open" ? openFinding(row) : clearFinding(row);
  return joined([change, savedFinding(row), standing(row, names), marginFinding(row)]);
}

function savedFinding({ saved, n }: ComparisonRow): string {
  return saved ? `Decided after ${n} of ${n + saved} documents.` : "";
}

function sameFinding(row: ComparisonRow): string {
  return `${row.label}: no difference, the same ${row.aRight} of ${documents(row.n)} are right for both models.`;
}

function clearFinding(row: ComparisonRow): string {
  const { a, b, n, change, changeLow, changeHigh, p, verdict } = row;
  const ends = [changeLow, changeHigh].map(Math.abs).sort((x, y) => x - y);
  const range = changeLow * changeHigh > 0 ? ` (likely ${percent(ends[0]!)} to ${percent(ends[1]!)})` : "";
  const fall = `${verdict === "loss" ? "falls" : "rises"} by ${percent(Math.abs(change))} points${range}`;
  return `${row.label} ${fall}, from ${percent(a)} % to ${percent(b)} % of ${documents(n)} right. ${turned(row)}; between equally good models luck alone would split them so unevenly ${odds(p)} (${pWords(row)}).`;
}

function openFinding(row: ComparisonRow): string {
  const { a, b, n, p, comparisons, detectable } = row;
  const shares =
    percent(a) === percent(b)
      ? `Both models get ${percent(a)} % of ${documents(n)} right`
      : `${percent(a)} % and ${percent(b)} % of ${documents(n)} are right`;
  const luck =
    p < 0.05
      ? `luck alone seldom does that to a given task, but often enough to one of ${comparisons} (${pWords(row)})`
      : `luck alone can do that (p ${equals(p)})`;
  const power =
    detectable === null ? "" : ` Only a change of some ${percent(detectable)} points or more would show reliably.`;
  return `${row.label}: no difference can be concluded. ${shares}. ${turned(row)}; ${luck}.${power}`;
}

function turned({ lost, won }: ComparisonRow): string {
  return `${lost} answer${lost === 1 ? "" : "s"} turned wrong and ${won} turned right`;
}

/** How the models stand against answering blindly, where that takes weight from the finding. */
function standing(row: ComparisonRow, [nameA, nameB]: Names): string {
  const guessing = `guessing (${percent(row.chance)} %)`;
  const constant = `always answering ${row.bestConstantChoice} (${percent(row.bestConstant)} %)`;
  const neither = "Neither model is clearly better than";
  const [a, b] = [level(row.aLow, row.aHigh, row), level(row.bLow, row.bHigh, row)];
  if (a === "guessing" && b === "guessing") {
    return `${neither} ${guessing}, so this task cannot show what they know.`;
  }
  if (a === "constant" && b === "constant") return `${neither} ${constant}.`;
  const sentence = (name: string, level: Level) =>
    ({
      below: `${name} is right less often than ${guessing}.`,
      guessing: `${name} is not clearly better than ${guessing}.`,
      constant: `${name} is not clearly better than ${constant}.`,
      above: "",
    })[level];
  return joined([sentence(nameA, a), sentence(nameB, b)]);
}

type Level = "below" | "guessing" | "constant" | "above";

function level(low: number, high: number, { chance, bestConstant }: ComparisonRow): Level {
  if (high < chance) return "below";
  if (low <= chance) return "guessing";
  return low <= bestConstant ? "constant" : "above";
}

/** Said only where counting right answers found nothing and a model knows something: near guessing a margin means little. */
function marginFinding(row: ComparisonRow): string {
  const { verdict, marginChange, marginPHolm, chance } = row;
  const isKnown = row.aLow > chance || row.bLow > chance;
  if (verdict !== "open" || !isKnown || marginChange === null || marginPHolm === null || marginPHolm >= 0.05) return "";
  const way = marginChange < 0 ? "lost" : "gained";
  return `A finer measure does change: the right answer ${way} probability against the best wrong one (p ${equals(marginPHolm)}).`;
}

/** Which parts of a group differ by themselves. */
function partsFinding({ kind, name, taskCount }: ComparisonRow, rows: readonly ComparisonRow[]): string[] {
  if (kind === "task") return [];
  const found = rows.filter(({ within, verdict }) => within === name && verdict !== "open");
  if (found.length === 0) {
    return [`None of the ${taskCount} ${memberNameOf(name)} of ${labelOf(name)} shows a difference by itself.`];
  }
  const changes = found.map((row) => `${row.label} (${percent(row.a)} % to ${percent(row.b)} %)`);
  return [`Within ${labelOf(name)} these differ by themselves: ${listed(changes)}.`];
}

/** Models that hardly look at the question. */
function sameAnswers({ rows }: ComparisonData, [nameA, nameB]: Names): string[] {
  const tasks = rows.filter(({ kind }) => kind === "task");
  const place = ({ name, n }: ComparisonRow, choice: string, count: number) =>
    `${choice} ${count} times of ${n} in ${labelOf(name)}`;
  const sentence = (name: string, places: string[]) =>
    `${name} answers (almost) always the same: ${listed(places)}. Such a score only counts how often that happens to be right.`;
  const ofA = tasks.filter((row) => row.aDegenerate).map((row) => place(row, row.aMostTaken, row.aMostTakenCount));
  const ofB = tasks.filter((row) => row.bDegenerate).map((row) => place(row, row.bMostTaken, row.bMostTakenCount));
  return [...(ofA.length > 0 ? [sentence(nameA, ofA)] : []), ...(ofB.length > 0 ? [sentence(nameB, ofB)] : [])];
}

/** E.g. "about once in 50 times". */
function odds(p: number): string {
  if (p < 0.0001) return "less than once in 10,000 times";
  const times = 1 / p;
  const step = 10 ** Math.max(0, Math.floor(Math.log10(times)) - 1);
  return `about once in ${(Math.round(times / step) * step).toLocaleString("en-US")} times`;
}

function pWords({ p, pHolm, comparisons }: ComparisonRow): string {
  if (comparisons === 1) return `p ${equals(p)}`;
  const holm = pValue(pHolm) === pValue(p) ? "also" : pValue(pHolm);
  return `p ${equals(p)}; ${holm} after Holm's correction for ${comparisons} comparisons`;
}

/** E.g. "= 0.031" and "< 0.0001". */
function equals(p: number): string {
  const text = pValue(p);
  return text.startsWith("<") ? `< ${text.slice(1)}` : `= ${text}`;
}

function documents(n: number): string {
  return n === 1 ? "1 document" : `${n} documents`;
}

function joined(sentences: readonly string[]): string {
  return sentences.filter((sentence) => sentence !== "").join(" ");
}

/** The first five, and how many more there are. */
function listed(items: readonly string[]): string {
  const shown = items.length > 6 ? [...items.slice(0, 5), `${items.length - 5} more`] : items;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

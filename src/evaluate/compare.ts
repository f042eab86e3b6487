/** What two models' answers to the same documents say about them: a row of statistics for each task and group. */
import { PrunelabError } from "../errors.ts";
import { allGroups, type TaskGroup, tasksOf } from "../tasks/find-tasks.ts";
import {
  type ChoiceRow,
  type ComparisonRow,
  compareUnit,
  RESAMPLES,
  type UncorrectedRow,
  type Unit,
} from "./comparison-row.ts";
import type { Evaluation } from "./evaluation.ts";
import { pairTasks, type TaskPair } from "./pair-tasks.ts";
import { holm } from "./statistics.ts";

export interface CompareOptions {
  /** An integer for the bootstrap's draws. Default 0. */
  readonly seed?: number;
}

/** The statistics of two evaluations, before they are put in words. */
export interface ComparisonData {
  readonly a: string;
  readonly b: string;
  /** Of the bootstrap. */
  readonly seed: number;
  readonly resamples: number;
  /** As given to both evaluations, or to one of them; null is all documents. */
  readonly limit: number | null;
  /** Both are of the same weights. */
  readonly sameWeights: boolean;
  /** A group comes before its tasks. */
  readonly rows: readonly ComparisonRow[];
  /** Names of tasks that both have and that are not multiple choice, which no row compares. */
  readonly leftOut: readonly string[];
  /** How often each choice was right and was taken, row by row. */
  readonly choices: readonly ChoiceRow[];
}

const ALPHA = 0.05;

/**
 * Compares two models by accuracy (`acc`) on the same documents. Tasks of a group that lm-eval has (MMLU's subjects) get a
 * row for all their documents as well.
 *
 * @throws PrunelabError where the two were not asked the same, or the seed is no integer.
 */
export function compareEvaluations(a: Evaluation, b: Evaluation, { seed = 0 }: CompareOptions = {}): ComparisonData {
  if (!Number.isSafeInteger(seed)) throw new PrunelabError(`invalid seed; not an integer: ${seed}; choose e.g. 0`);
  const pairs = pairTasks(a, b);
  const named = new Set([...a.groups, ...b.groups].map(({ group }) => group.group));
  const units = inOrder(pairs, named);
  const compared = units.map((unit) => compareUnit(unit, seed));
  return {
    a: a.model.name,
    b: b.model.name,
    seed,
    resamples: RESAMPLES,
    limit: a.limit ?? b.limit,
    sameWeights: a.model.digest === b.model.digest,
    rows: correct(compared.map(({ row }) => row)),
    leftOut: leftOut(a, b),
    choices: compared.flatMap(({ choices }) => choices),
  };
}

function leftOut(a: Evaluation, b: Evaluation): string[] {
  const names = new Set(b.tasks.map(({ task }) => task.task));
  return a.tasks
    .filter(({ outputType, task }) => outputType !== "multiple_choice" && names.has(task.task))
    .map(({ task }) => task.task);
}

/** Every task, after the groups that it is the first of. */
function inOrder(pairs: readonly TaskPair[], named: ReadonlySet<string>): Unit[] {
  const inner = new Set(allGroups.flatMap(({ members }) => members));
  const groups = allGroups
    .map((group) => ({ group, pairs: pairsOf(group, pairs) }))
    .filter((candidate) => candidate.pairs.length > 1);
  const outer = groups.filter(({ group }) => !inner.has(group.group));
  return pairs.flatMap((pair): Unit[] => {
    const top = outer.find((candidate) => candidate.pairs.includes(pair));
    if (!top) return [{ kind: "task", name: pair.task.task, within: null, pairs: [pair] }];
    if (top.pairs[0] !== pair) return [];
    const within = top.group.group;
    const parts = groups.filter(
      (part) => part !== top && named.has(part.group.group) && top.pairs.includes(part.pairs[0]!),
    );
    return [
      { kind: "group", name: within, within: null, pairs: top.pairs },
      ...parts.map((part): Unit => ({ kind: "group", name: part.group.group, within, pairs: part.pairs })),
      ...top.pairs.map((part): Unit => ({ kind: "task", name: part.task.task, within, pairs: [part] })),
    ];
  });
}

function pairsOf(group: TaskGroup, pairs: readonly TaskPair[]): TaskPair[] {
  const names = new Set(tasksOf(group).map(({ task }) => task));
  return pairs.filter(({ task }) => names.has(task.task));
}

/** The rows with the p-values of each family corrected. */
function correct(rows: readonly UncorrectedRow[]): ComparisonRow[] {
  return rows.map((row) => {
    const family = rows.filter(({ within }) => within === row.within);
    const place = family.indexOf(row);
    const withMargin = family.filter(({ marginP }) => marginP !== null);
    const pHolm = holm(family.map(({ p }) => p))[place]!;
    const marginPHolm = holm(withMargin.map(({ marginP }) => marginP!))[withMargin.indexOf(row)] ?? null;
    const verdict = pHolm >= ALPHA ? "open" : row.change < 0 ? "loss" : "gain";
    return { ...row, pHolm, marginPHolm, comparisons: family.length, verdict };
  });
}

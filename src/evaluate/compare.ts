/** What two models' answers to the same documents say about them: a row of statistics for each task and group. */
import { PrunelabError } from "../errors.ts";
import { allGroups, type TaskGroup, tasksOf } from "../tasks/find-tasks.ts";
import type { ChoiceSample } from "../tasks/output-types/multiple-choice.ts";
import {
  type ChoiceRow,
  type ComparisonRow,
  compareUnit,
  RESAMPLES,
  type TaskPair,
  type UncorrectedRow,
  type Unit,
} from "./comparison-row.ts";
import type { ChoiceEvaluation, Evaluation } from "./evaluation.ts";
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
 * @throws PrunelabError if the two were not asked the same, or the seed is not an integer.
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
    if (!top) return [taskUnit(pair, null)];
    if (top.pairs[0] !== pair) return [];
    const within = top.group.group;
    const parts = groups.filter(
      (part) => part !== top && named.has(part.group.group) && top.pairs.includes(part.pairs[0]!),
    );
    return [
      groupUnit(top, null),
      ...parts.map((part) => groupUnit(part, within)),
      ...top.pairs.map((part) => taskUnit(part, within)),
    ];
  });
}

interface PairedGroup {
  readonly group: TaskGroup;
  readonly pairs: readonly TaskPair[];
}

function taskUnit(pair: TaskPair, within: string | null): Unit {
  const { task, label = task } = pair.task;
  return { kind: "task", name: task, label, within, pairs: [pair] };
}

function groupUnit({ group, pairs }: PairedGroup, within: string | null): Unit {
  const label = `${group.label ?? group.group}, ${pairs.length} ${group.memberName ?? "tasks"}`;
  return { kind: "group", name: group.group, label, within, pairs };
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

/**
 * The multiple-choice tasks of two evaluations in the order of the first; other tasks are left out.
 *
 * @throws PrunelabError if a task is missing in one, has no documents, or was asked otherwise: other documents, prompts
 * or choices, or another right answer.
 */
function pairTasks(a: Evaluation, b: Evaluation): TaskPair[] {
  refuseMissing(a, b);
  refuseMissing(b, a);
  const tasks = choiceTasks(a);
  if (tasks.length === 0) {
    throw new PrunelabError("cannot compare evaluations without tasks of multiple choice; evaluate some first");
  }
  return tasks.map((ofA) => {
    const name = ofA.task.task;
    const ofB = choiceTasks(b).find(({ task }) => task.task === name)!;
    const [ofStoppedA, ofStoppedB] = [askedOf(ofA, ofB), askedOf(ofB, ofA)];
    refuseDifferences(name, ofStoppedA, ofStoppedB);
    const stopped = ofB.decision ?? ofA.decision;
    return {
      task: ofA.task,
      a: ofStoppedA,
      b: ofStoppedB,
      isDemo: ofA.source.kind === "demo" || ofB.source.kind === "demo",
      saved: stopped ? stopped.saved : null,
    };
  });
}

function choiceTasks({ tasks }: Evaluation): ChoiceEvaluation[] {
  return tasks.filter((task) => task.outputType === "multiple_choice");
}

/** A task's samples; those of the documents that the other one was asked, if that one stopped early. */
function askedOf({ samples }: ChoiceEvaluation, other: ChoiceEvaluation): readonly ChoiceSample[] {
  if (!other.decision) return samples;
  const asked = new Set(other.samples.map(({ docId }) => docId));
  return samples.filter(({ docId }) => asked.has(docId));
}

function refuseMissing(from: Evaluation, within: Evaluation): void {
  const known = new Set(choiceTasks(within).map(({ task }) => task.task));
  const missing = choiceTasks(from)
    .map(({ task }) => task.task)
    .filter((name) => !known.has(name));
  if (missing.length === 0) return;
  throw new PrunelabError(
    `cannot compare evaluations of different tasks: ${missing.join(", ")} only for ${from.model.name}, not for ${within.model.name}; evaluate both on the same`,
  );
}

/** Throws if two models were not asked the same of a task, document by document. */
export function refuseDifferences(name: string, a: readonly ChoiceSample[], b: readonly Question[]): void {
  const advice = "evaluate both on the same documents, with the same limit and shots";
  if (a.length === 0 || a.length !== b.length) {
    throw new PrunelabError(`cannot compare ${name}: ${a.length} and ${b.length} documents; ${advice}`);
  }
  const differing = a.findIndex((sample, index) => !isSameQuestion(sample, b[index]!));
  if (differing < 0) return;
  throw new PrunelabError(`cannot compare ${name}: document ${a[differing]!.docId} was not the same; ${advice}`);
}

/** What is asked of a document. */
type Question = Pick<ChoiceSample, "docId" | "target" | "requests">;

/** The requests hold all of a document that reaches a model; ids and unused fields may differ between data sources. */
function isSameQuestion(a: Question, b: Question): boolean {
  return (
    a.target === b.target &&
    a.requests.length === b.requests.length &&
    a.requests.every(
      ({ context, continuation }, index) =>
        context === b.requests[index]!.context && continuation === b.requests[index]!.continuation,
    )
  );
}

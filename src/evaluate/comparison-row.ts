/** One row of a comparison: the statistics of two models' answers to a task's documents, or to a group's pooled. */
import { type ChoiceSample, firstMaximum } from "../tasks/output-types/multiple-choice.ts";
import { bootstrapMean } from "./bootstrap.ts";
import { chanceAccuracy, choiceCounts, choiceNames, goldMargin, isDegenerate, takenChoice } from "./choices.ts";
import type { TaskPair } from "./pair-tasks.ts";
import { changeInterval, detectableDifference, mcnemarMidP, wilsonInterval } from "./statistics.ts";

/** A task's or group's comparison; accuracies and changes in [0, 1], changes being b less a, intervals of 95 %. */
export interface ComparisonRow {
  readonly kind: "task" | "group";
  /** lm-eval's name. */
  readonly name: string;
  /** The outermost group that has a row and counts these documents too. */
  readonly within: string | null;
  readonly taskCount: number;
  /** The documents are made up: the numbers are no benchmark's. */
  readonly isDemo: boolean;
  readonly metric: "acc";
  /** Documents; a group's are those of its tasks, pooled. */
  readonly n: number;
  /** Documents that each model got right. */
  readonly aRight: number;
  readonly bRight: number;
  readonly a: number;
  readonly aLow: number;
  readonly aHigh: number;
  readonly b: number;
  readonly bLow: number;
  readonly bHigh: number;
  /** A group's plain mean of its tasks' accuracies; null for a task. */
  readonly aMeanOfTasks: number | null;
  readonly bMeanOfTasks: number | null;
  readonly change: number;
  readonly changeLow: number;
  readonly changeHigh: number;
  /** Documents that a alone, and that b alone, got right. */
  readonly lost: number;
  readonly won: number;
  /** McNemar's mid-p. */
  readonly p: number;
  /** p after Holm over the `comparisons` rows with the same `within`: the overview, or the parts of one group. */
  readonly pHolm: number;
  readonly comparisons: number;
  /** By `pHolm` at 5 %. */
  readonly verdict: "loss" | "gain" | "open";
  /** The least difference that 80 % of such comparisons find (by `p`); null where no document tells the models apart. */
  readonly detectable: number | null;
  /** Mean change of the right choice's log-likelihood less the best other's, in nats; null where no document has one. */
  readonly marginChange: number | null;
  readonly marginLow: number | null;
  readonly marginHigh: number | null;
  readonly marginP: number | null;
  readonly marginPHolm: number | null;
  /** Documents with a margin: two choices or more, and finite log-likelihoods. */
  readonly marginN: number;
  /** Accuracy of guessing. */
  readonly chance: number;
  /** Accuracy of the constant answer that fits these documents best. */
  readonly bestConstant: number;
  readonly bestConstantChoice: string;
  /** The choice that each model took most often, and on how many documents. */
  readonly aMostTaken: string;
  readonly aMostTakenCount: number;
  readonly bMostTaken: string;
  readonly bMostTakenCount: number;
  /** The model takes the same choice on 95 % of ten documents or more, though it is right on fewer. */
  readonly aDegenerate: boolean;
  readonly bDegenerate: boolean;
}

/** A choice of a row's documents. */
export interface ChoiceRow {
  readonly name: string;
  readonly choice: string;
  /** Documents where it is the right one, and where each model took it. */
  readonly right: number;
  readonly a: number;
  readonly b: number;
}

/** What becomes a row. */
export interface Unit extends Pick<ComparisonRow, "kind" | "name" | "within"> {
  readonly pairs: readonly TaskPair[];
}

/** Of the bootstrap. */
export const RESAMPLES = 10_000;

/** A row before its family is known. */
export type UncorrectedRow = Omit<ComparisonRow, "pHolm" | "marginPHolm" | "comparisons" | "verdict">;

/** Compares the two models on a task's or a group's documents. */
export function compareUnit(
  { kind, name, within, pairs }: Unit,
  seed: number,
): { row: UncorrectedRow; choices: ChoiceRow[] } {
  const a = pairs.flatMap((pair) => pair.a);
  const b = pairs.flatMap((pair) => pair.b);
  const n = a.length;
  const right = choiceCounts(a, ({ target }) => target);
  const taken = { a: choiceCounts(a, takenChoice), b: choiceCounts(b, takenChoice) };
  const names = choiceNames(a);
  const most = { right: firstMaximum(right), a: firstMaximum(taken.a), b: firstMaximum(taken.b) };
  const row = {
    kind,
    name,
    within,
    taskCount: pairs.length,
    isDemo: pairs.some(({ isDemo }) => isDemo),
    metric: "acc" as const,
    n,
    ...accuracies(a, b),
    aMeanOfTasks: kind === "group" ? meanOfTasks(pairs.map((pair) => pair.a)) : null,
    bMeanOfTasks: kind === "group" ? meanOfTasks(pairs.map((pair) => pair.b)) : null,
    ...margins(a, b, seed),
    chance: chanceAccuracy(a),
    bestConstant: right[most.right]! / n,
    bestConstantChoice: names[most.right]!,
    aMostTaken: names[most.a]!,
    aMostTakenCount: taken.a[most.a]!,
    bMostTaken: names[most.b]!,
    bMostTakenCount: taken.b[most.b]!,
    aDegenerate: isDegenerate(taken.a, right),
    bDegenerate: isDegenerate(taken.b, right),
  };
  const choices = names.map((choice, index) => {
    return { name, choice, right: right[index]!, a: taken.a[index]!, b: taken.b[index]! };
  });
  return { row, choices };
}

function accuracies(samplesA: readonly ChoiceSample[], samplesB: readonly ChoiceSample[]) {
  const n = samplesA.length;
  const counts = { bothRight: 0, lost: 0, won: 0, bothWrong: 0 };
  for (const [index, sample] of samplesA.entries()) {
    const [isA, isB] = [isRight(sample), isRight(samplesB[index]!)];
    counts[isA && isB ? "bothRight" : isA ? "lost" : isB ? "won" : "bothWrong"] += 1;
  }
  const { bothRight, lost, won } = counts;
  const ofA = wilsonInterval(bothRight + lost, n);
  const ofB = wilsonInterval(bothRight + won, n);
  const change = changeInterval(counts);
  return {
    aRight: bothRight + lost,
    bRight: bothRight + won,
    a: (bothRight + lost) / n,
    aLow: ofA.low,
    aHigh: ofA.high,
    b: (bothRight + won) / n,
    bLow: ofB.low,
    bHigh: ofB.high,
    change: (won - lost) / n,
    changeLow: change.low,
    changeHigh: change.high,
    lost,
    won,
    p: mcnemarMidP(lost, won),
    detectable: detectableDifference(lost + won, n),
  };
}

function margins(samplesA: readonly ChoiceSample[], samplesB: readonly ChoiceSample[], seed: number) {
  const changes = samplesA.flatMap((sample, index) => {
    const [before, after] = [goldMargin(sample), goldMargin(samplesB[index]!)];
    return before === null || after === null ? [] : [after - before];
  });
  const marginN = changes.length;
  if (marginN === 0) return { marginChange: null, marginLow: null, marginHigh: null, marginP: null, marginN };
  const { mean, low, high, p } = bootstrapMean(changes, { seed, resamples: RESAMPLES });
  return { marginChange: mean, marginLow: low, marginHigh: high, marginP: p, marginN };
}

function isRight(sample: ChoiceSample): boolean {
  return takenChoice(sample) === sample.target;
}

function meanOfTasks(tasks: readonly (readonly ChoiceSample[])[]): number {
  const shares = tasks.map((samples) => samples.filter(isRight).length / samples.length);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** One row of a comparison: the statistics of two models' answers to a task's documents, or to a group's pooled. */
import { type ChoiceSample, type ChoiceTask, firstMaximum } from "../tasks/output-types/multiple-choice.ts";
import { meanDifference } from "./mean-difference.ts";
import { sequentialInterval, sequentialP } from "./sequential.ts";
import { changeInterval, detectableDifference, mcnemar, shareInterval } from "./statistics.ts";

/** A task's or group's comparison; accuracies and changes in [0, 1], changes being b less a, intervals of 95 %. */
export interface ComparisonRow {
  readonly kind: "task" | "group";
  /** lm-eval's name. */
  readonly name: string;
  /** The name as people write it, e.g. "MMLU, 5 subjects". */
  readonly label: string;
  /** The outermost group that has a row and counts these documents too. */
  readonly within: string | null;
  readonly taskCount: number;
  /** The documents are made up: the numbers are no benchmark's. */
  readonly isDemo: boolean;
  readonly metric: "acc";
  /** Documents; a group's are those of its tasks, pooled. */
  readonly n: number;
  /** Documents that were not asked any more, as the change was decided (`until: "decided"`); null if none was to be saved. */
  readonly saved: number | null;
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
  /** McNemar's p; under `until: "decided"` one that holds whenever one stops. */
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

/** One task's documents as two models answered them, in the same order. */
export interface TaskPair {
  readonly task: ChoiceTask;
  readonly a: readonly ChoiceSample[];
  readonly b: readonly ChoiceSample[];
  /** The documents are the package's made-up ones. */
  readonly isDemo: boolean;
  /** Documents that were left out since the change was decided; null if all were to be asked. */
  readonly saved: number | null;
}

/** What becomes a row. */
export interface Unit extends Pick<ComparisonRow, "kind" | "name" | "label" | "within"> {
  readonly pairs: readonly TaskPair[];
}

/** Of the bootstrap. */
export const RESAMPLES = 10_000;

/** A row before its family is known. */
export type UncorrectedRow = Omit<ComparisonRow, "pHolm" | "marginPHolm" | "comparisons" | "verdict">;

/** Compares the two models on a task's or a group's documents. */
export function compareUnit(
  { kind, name, label, within, pairs }: Unit,
  seed: number,
): { row: UncorrectedRow; choices: ChoiceRow[] } {
  const a = pairs.flatMap((pair) => pair.a);
  const b = pairs.flatMap((pair) => pair.b);
  const n = a.length;
  const isSequential = pairs.some(({ saved }) => saved !== null);
  const right = choiceCounts(a, ({ target }) => target);
  const taken = { a: choiceCounts(a, takenChoice), b: choiceCounts(b, takenChoice) };
  const names = choiceNames(a);
  const most = { right: firstMaximum(right), a: firstMaximum(taken.a), b: firstMaximum(taken.b) };
  const row = {
    kind,
    name,
    label,
    within,
    taskCount: pairs.length,
    isDemo: pairs.some(({ isDemo }) => isDemo),
    metric: "acc" as const,
    n,
    saved: isSequential ? pairs.reduce((sum, { saved }) => sum + (saved ?? 0), 0) : null,
    ...accuracies(a, b, isSequential),
    aMeanOfTasks: kind === "group" ? meanOfTasks(pairs.map((pair) => pair.a)) : null,
    bMeanOfTasks: kind === "group" ? meanOfTasks(pairs.map((pair) => pair.b)) : null,
    // A look at any time that suits is only foreseen for right answers.
    ...(isSequential ? noMargins : margins(a, b, seed)),
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

function accuracies(samplesA: readonly ChoiceSample[], samplesB: readonly ChoiceSample[], isSequential: boolean) {
  const n = samplesA.length;
  const counts = { bothRight: 0, lost: 0, won: 0, bothWrong: 0 };
  for (const [index, sample] of samplesA.entries()) {
    const [isA, isB] = [isRight(sample), isRight(samplesB[index]!)];
    counts[isA && isB ? "bothRight" : isA ? "lost" : isB ? "won" : "bothWrong"] += 1;
  }
  const { bothRight, lost, won } = counts;
  const ofA = shareInterval(bothRight + lost, n);
  const ofB = shareInterval(bothRight + won, n);
  const same = bothRight + counts.bothWrong;
  const change = isSequential ? sequentialInterval({ lost, won, same }) : changeInterval(counts);
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
    p: isSequential ? sequentialP({ lost, won, same }) : mcnemar(lost, won),
    detectable: isSequential ? null : detectableDifference(lost + won, n),
  };
}

const noMargins = { marginChange: null, marginLow: null, marginHigh: null, marginP: null, marginN: 0 };

function margins(samplesA: readonly ChoiceSample[], samplesB: readonly ChoiceSample[], seed: number) {
  const changes = samplesA.flatMap((sample, index) => {
    const [before, after] = [goldMargin(sample), goldMargin(samplesB[index]!)];
    return before === null || after === null ? [] : [after - before];
  });
  const marginN = changes.length;
  if (marginN === 0) return noMargins;
  const { mean, low, high, p } = meanDifference(changes, { seed, resamples: RESAMPLES });
  return { marginChange: mean, marginLow: low, marginHigh: high, marginP: p, marginN };
}

function isRight(sample: ChoiceSample): boolean {
  return takenChoice(sample) === sample.target;
}

function meanOfTasks(tasks: readonly (readonly ChoiceSample[])[]): number {
  const shares = tasks.map((samples) => samples.filter(isRight).length / samples.length);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** A model that takes one choice on this share of the documents or more, though it is right on fewer, is not answering. */
const DEGENERATE_SHARE = 0.95;
/** With fewer documents the same choice throughout is not unusual. */
const DEGENERATE_MIN_DOCUMENTS = 10;

/** Index of the choice that `acc` counts: the likeliest as a whole, the first of equals. */
export function takenChoice(sample: ChoiceSample): number {
  return firstMaximum(sample.answers.map(({ sum }) => sum));
}

/** How many documents have each index, from 0 to that of the last choice of any document. */
export function choiceCounts(samples: readonly ChoiceSample[], choiceOf: (sample: ChoiceSample) => number): number[] {
  const counts = Array<number>(Math.max(...samples.map(({ requests }) => requests.length))).fill(0);
  for (const sample of samples) counts[choiceOf(sample)]! += 1;
  return counts;
}

/** Share of right answers that guessing gets on average: the mean of 1 / number of choices. */
export function chanceAccuracy(samples: readonly ChoiceSample[]): number {
  return samples.reduce((sum, { requests }) => sum + 1 / requests.length, 0) / samples.length;
}

/** Whether these choices, by index, are a model's that (almost) always takes the same; `right` are those of the targets. */
export function isDegenerate(taken: readonly number[], right: readonly number[]): boolean {
  const n = taken.reduce((sum, count) => sum + count, 0);
  const most = firstMaximum(taken);
  const threshold = DEGENERATE_SHARE * n;
  return n >= DEGENERATE_MIN_DOCUMENTS && taken[most]! >= threshold && right[most]! < threshold;
}

/**
 * Names for the indices of choices: the texts themselves where every document has the same short ones (MMLU's letters,
 * BoolQ's no and yes), else A, B, C …
 */
export function choiceNames(samples: readonly ChoiceSample[]): string[] {
  const most = samples.reduce((longest, sample) =>
    sample.requests.length > longest.requests.length ? sample : longest,
  );
  return most.requests.map(({ continuation }, index) => {
    const text = continuation.trim();
    const isEverywhere = samples.every(({ requests }) => requests[index]?.continuation === continuation);
    if (samples.length > 1 && isEverywhere && text !== "" && text.length <= 5) return text;
    return index < 26 ? String.fromCharCode(65 + index) : String(index + 1);
  });
}

/**
 * By how much the right choice is likelier than the best other one, in nats; null with one choice alone, or where a
 * log-likelihood is not finite.
 */
export function goldMargin({ answers, target }: ChoiceSample): number | null {
  const others = answers.filter((_, index) => index !== target).map(({ sum }) => sum);
  const margin = answers[target]!.sum - Math.max(...others);
  return Number.isFinite(margin) ? margin : null;
}

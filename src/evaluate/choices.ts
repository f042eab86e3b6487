/** Which choices a model took, and what blind answering of the same documents would get right. */
import { type ChoiceSample, firstMaximum } from "../tasks/output-types/multiple-choice.ts";

/** A model that takes one choice on this share of the documents or more, though it is right on fewer, is not answering. */
const DEGENERATE_SHARE = 0.95;
/** With fewer documents the same choice throughout is no oddity. */
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
 * log-likelihood is no finite number.
 */
export function goldMargin({ answers, target }: ChoiceSample): number | null {
  const others = answers.filter((_, index) => index !== target).map(({ sum }) => sum);
  const margin = answers[target]!.sum - Math.max(...others);
  return Number.isFinite(margin) ? margin : null;
}

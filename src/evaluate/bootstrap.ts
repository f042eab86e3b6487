/** The paired bootstrap: how far a mean difference between two models could come from the choice of documents alone. */
import { mersenne } from "pure-rand/generator/mersenne";
import type { Interval } from "./statistics.ts";

export interface BootstrapOptions {
  /** An integer; the same seed gives the same numbers on every machine. */
  readonly seed: number;
  readonly resamples: number;
}

/** A mean, its 95 % interval, and the two-sided p that it is 0. */
export interface BootstrappedMean extends Interval {
  readonly mean: number;
  readonly p: number;
}

/**
 * Draws as many documents as there are, with replacement, over and over, and takes each time the mean of their
 * differences: the middle 95 % of those means are the interval, and p is twice the share of them on the far side of 0.
 *
 * Percentile interval: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, with ends interpolated
 * as numpy does. p counts the observed sample in, so it is never 0: Davison and Hinkley, Bootstrap Methods and their
 * Application (1997), section 4.4. Draws are ⌊n u / 2³²⌋ of the 32-bit numbers u of the Mersenne Twister MT19937, which
 * numpy's `RandomState(seed)` gives as well.
 *
 * @param differences One for each document, finite; at least one.
 */
export function bootstrapMean(differences: readonly number[], { seed, resamples }: BootstrapOptions): BootstrappedMean {
  const n = differences.length;
  const random = mersenne(seed);
  const values = Float64Array.from(differences);
  const means = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    let sum = 0;
    for (let draw = 0; draw < n; draw++) sum += values[Math.floor(((random.next() >>> 0) / 2 ** 32) * n)]!;
    means[resample] = sum / n;
  }
  const notAbove = means.filter((mean) => mean <= 0).length;
  const notBelow = means.filter((mean) => mean >= 0).length;
  means.sort();
  return {
    mean: differences.reduce((sum, difference) => sum + difference, 0) / n,
    low: quantile(means, 0.025),
    high: quantile(means, 0.975),
    p: Math.min(1, (2 * (1 + Math.min(notAbove, notBelow))) / (resamples + 1)),
  };
}

function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  return below + (place - Math.floor(place)) * (sorted[Math.ceil(place)]! - below);
}

/** A mean over documents or windows: its interval, and the p that it is 0, by drawing again from what was measured. */
import { mersenne } from "pure-rand/generator/mersenne";
import type { Interval } from "./statistics.ts";

export interface DrawOptions {
  /** An integer; the same seed gives the same numbers on every machine. */
  readonly seed: number;
  readonly resamples: number;
}

/** A mean and its 95 % interval: null where so few values cannot have one. */
export interface MeanInterval {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
  /** Two-sided p that the mean is 0. */
  readonly p: number;
}

/** Below so many values the bootstrap misses more often than it says. */
const BOOTSTRAP_FROM = 100;
/** Up to so many values all signs and all subsets are tried. */
const ALL_UP_TO = 16;

/**
 * By sign flips and subsets below 100 values, else by the bootstrap.
 *
 * @param values One for each document or window, finite; at least one.
 */
export function meanDifference(values: readonly number[], options: DrawOptions): MeanInterval {
  if (values.length >= BOOTSTRAP_FROM) return bootstrapMean(values, options);
  return { mean: meanOf(values), ...subsetInterval(values, options), p: signFlipP(values, options) };
}

/**
 * Two-sided p that values lie evenly around 0: the share of all ways to choose their signs whose mean is as far from 0 or farther. Fisher, The
 * Design of Experiments (1935), section 21. Exact to 16 values, so with n of them never below 2 / 2^n; beyond by `resamples` random ways, the
 * observed one counted in, which holds its level too.
 */
export function signFlipP(values: readonly number[], { seed, resamples }: DrawOptions): number {
  const sizes = values.filter((value) => value !== 0).map(Math.abs);
  const observed = Math.abs(values.reduce((sum, value) => sum + value, 0));
  // Sums of the same numbers in another order differ in the last digits.
  const isAsFar = (sum: number) => Math.abs(sum) >= observed * (1 - 1e-12);
  if (sizes.length <= ALL_UP_TO) {
    let asFar = 0;
    for (let signs = 0; signs < 2 ** sizes.length; signs++) if (isAsFar(signedSum(sizes, signs))) asFar += 1;
    return asFar / 2 ** sizes.length;
  }
  const bits = bitStream(seed);
  let asFar = 1;
  for (let draw = 0; draw < resamples; draw++) {
    if (isAsFar(sizes.reduce((sum, size) => sum + (bits() ? size : -size), 0))) asFar += 1;
  }
  return asFar / (resamples + 1);
}

function signedSum(sizes: readonly number[], signs: number): number {
  return sizes.reduce((sum, size, index) => sum + ((signs >> index) & 1 ? size : -size), 0);
}

/**
 * 95 % interval of the middle that values lie evenly around: means of subsets, of which the middle is as likely below as above. Hartigan, JASA
 * 64 (1969) 1303–1317, for all subsets (exact) and for random ones. Null below six values, whose subsets are too few.
 */
export function subsetInterval(
  values: readonly number[],
  { seed, resamples }: DrawOptions,
): Interval | { readonly low: null; readonly high: null } {
  const isAll = values.length <= ALL_UP_TO;
  const count = isAll ? 2 ** values.length - 1 : resamples;
  const left = Math.floor(0.025 * (count + 1));
  if (left === 0) return { low: null, high: null };
  const bits = bitStream(seed);
  const means = new Float64Array(count);
  for (let subset = 1; subset <= count; subset++) {
    let [sum, size] = [0, 0];
    // An empty subset has no mean; the next draw takes its place.
    while (size === 0) {
      for (const [index, value] of values.entries()) {
        if (isAll ? ((subset >> index) & 1) === 0 : !bits()) continue;
        sum += value;
        size += 1;
      }
    }
    means[subset - 1] = sum / size;
  }
  means.sort();
  return { low: means[left - 1]!, high: means[count - left]! };
}

/** Fair coins from the 32-bit numbers of the Mersenne Twister MT19937. */
function bitStream(seed: number): () => boolean {
  const random = mersenne(seed);
  let [word, left] = [0, 0];
  return () => {
    if (left === 0) [word, left] = [random.next(), 32];
    left -= 1;
    return ((word >>> left) & 1) === 1;
  };
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
 */
export function bootstrapMean(differences: readonly number[], { seed, resamples }: DrawOptions): BootstrappedMean {
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
    mean: meanOf(differences),
    low: quantile(means, 0.025),
    high: quantile(means, 0.975),
    p: Math.min(1, (2 * (1 + Math.min(notAbove, notBelow))) / (resamples + 1)),
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  return below + (place - Math.floor(place)) * (sorted[Math.ceil(place)]! - below);
}

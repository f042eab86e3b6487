/** Finds and zeroes the lowest scores: an exact count, without sorting; of equal scores the lower index goes first. */

/** All scores below `score` go, and of those equal to it the first `ties`. */
export interface Threshold {
  readonly score: number;
  readonly ties: number;
}

/** Several score arrays as one; computed when asked for, so that not all need be in memory at once. */
export interface ScoreParts {
  readonly parts: number;
  scores(part: number): Uint32Array;
}

/**
 * The threshold below which exactly `count` scores lie, found digit by digit from the highest: a histogram of the
 * digit picks the bin in which the threshold lies, and the next digit looks into that bin only. `digitBits` must divide
 * 32: 16 suits a whole tensor (two passes), 8 a short row (256 bins to clear). `count` at most the number of scores.
 */
export function findThreshold({ parts, scores }: ScoreParts, count: number, digitBits: 8 | 16): Threshold {
  const bins = new Uint32Array(1 << digitBits);
  let [prefix, prefixMask, ties] = [0, 0, count];
  for (let shift = 32 - digitBits; shift >= 0; shift -= digitBits) {
    bins.fill(0);
    for (let part = 0; part < parts; part++) countDigits(scores(part), prefix, prefixMask, shift, bins);
    let bin = 0;
    while (ties > bins[bin]!) ties -= bins[bin++]!;
    prefix |= bin << shift;
    prefixMask |= (bins.length - 1) << shift;
  }
  return { score: prefix, ties };
}

function countDigits(scores: Uint32Array, prefix: number, prefixMask: number, shift: number, bins: Uint32Array): void {
  const digitMask = bins.length - 1;
  for (let index = 0; index < scores.length; index++) {
    const score = scores[index]!;
    if ((score & prefixMask) === prefix) bins[(score >>> shift) & digitMask]!++;
  }
}

/** Zeroes (to +0) the weights whose scores the threshold lets go. Returns the ties that are left for the next part. */
export function zeroBelow(weights: Uint16Array, scores: Uint32Array, { score, ties }: Threshold): number {
  let left = ties;
  for (let index = 0; index < weights.length; index++) {
    if (scores[index]! < score || (scores[index] === score && left-- > 0)) weights[index] = 0;
  }
  return Math.max(left, 0);
}

/** Zeroes the `count` lowest of every `length` consecutive weights. `length` must divide their number. */
export function zeroInSpans(weights: Uint16Array, scores: Uint32Array, length: number, count: number): void {
  for (let from = 0; from < weights.length; from += length) {
    if (length <= 16) zeroByRank(weights, scores, from, length, count);
    else {
      const span = scores.subarray(from, from + length);
      const threshold = findThreshold({ parts: 1, scores: () => span }, count, 8);
      zeroBelow(weights.subarray(from, from + length), span, threshold);
    }
  }
}

/** For a handful of weights comparing each with each beats a histogram. */
function zeroByRank(weights: Uint16Array, scores: Uint32Array, from: number, length: number, count: number): void {
  for (let index = from; index < from + length; index++) {
    const score = scores[index]!;
    let rank = 0;
    for (let other = from; other < index; other++) if (scores[other]! <= score) rank++;
    for (let other = index + 1; other < from + length; other++) if (scores[other]! < score) rank++;
    if (rank < count) weights[index] = 0;
  }
}

/** Zeroes the weights with the lowest scores: exact counts, of equal scores the lower index first. For scores of any kind. */

/** Where the lowest are looked for: in the whole tensor, in each row, or among every `of` consecutive weights. */
export type SpanPattern = "tensor" | "row" | { readonly zeros: number; readonly of: number };

/** Zeroes weights of a `[rows, columns]` tensor in place. `scores` are not negative; a NaN counts as the highest. */
export function zeroLowest(
  weights: Float32Array,
  scores: Float32Array,
  columns: number,
  pattern: SpanPattern,
  sparsity: number,
): void {
  // The bits of floats that are not negative sort as integers do (IEEE 754).
  const bits = new Uint32Array(scores.buffer, scores.byteOffset, scores.length);
  const span = pattern === "tensor" ? weights.length : pattern === "row" ? columns : pattern.of;
  const count = typeof pattern === "object" ? pattern.zeros : Math.round(span * sparsity);
  const room = { bins: new Uint32Array(span > 65536 ? 65536 : 256), left: new Uint32Array(span > 16 ? span : 0) };
  for (let from = 0; from < weights.length; from += span) {
    if (span <= 16) zeroByRank(weights, bits, from, span, count);
    else zeroByThreshold(weights, bits, from, span, count, room);
  }
}

/**
 * The threshold is found digit by digit from the highest: a histogram of the digit picks the bin in which it lies, and the next
 * digit looks at what is `left` in that bin only. No branch depends on a single score: half of them would be guessed wrong.
 */
function zeroByThreshold(
  weights: Float32Array,
  scores: Uint32Array,
  from: number,
  length: number,
  count: number,
  { bins, left }: { readonly bins: Uint32Array; readonly left: Uint32Array },
): void {
  const digitBits = bins.length === 65536 ? 16 : 8;
  let [threshold, ties, lefts] = [0, count, length];
  // Without its sign, which a NaN may have.
  for (let index = 0; index < length; index++) left[index] = scores[from + index]! & 0x7fffffff;
  for (let shift = 32 - digitBits; shift >= 0; shift -= digitBits) {
    bins.fill(0);
    for (let index = 0; index < lefts; index++) bins[(left[index]! >>> shift) & (bins.length - 1)]!++;
    let bin = 0;
    while (ties > bins[bin]!) ties -= bins[bin++]!;
    threshold = (threshold | (bin << shift)) >>> 0;
    let kept = 0;
    for (let index = 0; index < lefts; index++) {
      const score = left[index]!;
      left[kept] = score;
      const difference = ((score >>> shift) & (bins.length - 1)) ^ bin;
      kept += (difference - 1) >>> 31;
    }
    lefts = kept;
  }
  const bits = new Int32Array(weights.buffer, weights.byteOffset, weights.length);
  for (let index = from; index < from + length; index++) {
    const score = scores[index]! & 0x7fffffff;
    // All ones where the score is at least the threshold.
    bits[index]! &= (threshold - 1 - score) >> 31;
    if (score === threshold && ties-- > 0) bits[index] = 0;
  }
}

/** For a handful of weights comparing each with each beats a histogram. */
function zeroByRank(weights: Float32Array, scores: Uint32Array, from: number, length: number, count: number): void {
  for (let index = from; index < from + length; index++) {
    const score = scores[index]!;
    let rank = 0;
    for (let other = from; other < index; other++) if (scores[other]! <= score) rank++;
    for (let other = index + 1; other < from + length; other++) if (scores[other]! < score) rank++;
    if (rank < count) weights[index] = 0;
  }
}

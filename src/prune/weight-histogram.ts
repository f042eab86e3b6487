/** Counts a checkpoint's weights by their value, to be drawn before and after pruning. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { PrunelabError } from "../errors.ts";
import { parseScope } from "./options.ts";
import { tensorsInScope } from "./sparsity.ts";

export interface WeightHistogram {
  /** The checkpoint's name. */
  readonly name: string;
  /** Ends of the bins, one more than there are bins; a bin holds its lower end. */
  readonly edges: readonly number[];
  /** Weights of each bin, but for zeros. */
  readonly counts: readonly number[];
  readonly zeros: number;
  /** Weights beyond the bins. */
  readonly outside: number;
  /** All weights in scope. */
  readonly count: number;
}

export interface WeightHistogramOptions {
  /** Regular expression on tensor names; default: the linear layers inside the blocks. */
  readonly scope?: RegExp | string;
  /** Bins from -limit to limit; default 120. */
  readonly bins?: number;
  /** Default 0.15, within which nearly all weights of Gemma 3 270M lie. */
  readonly limit?: number;
}

/**
 * Counts the weights in scope, one tensor in memory at a time. Two histograms with the same options have the same bins.
 *
 * @throws PrunelabError if the scope matches nothing, or bins or limit make no sense.
 */
export async function weightHistogram(
  checkpoint: Checkpoint,
  { scope, bins = 120, limit = 0.15 }: WeightHistogramOptions = {},
): Promise<WeightHistogram> {
  if (!Number.isSafeInteger(bins) || bins < 1 || bins > 100_000) {
    throw new PrunelabError(`invalid bins; not an integer from 1 to 100,000: ${bins}; choose e.g. 120`);
  }
  if (!(limit > 0 && Number.isFinite(limit))) {
    throw new PrunelabError(`invalid limit; not a number above 0: ${limit}; choose e.g. 0.15`);
  }
  // By bit pattern first, of which bfloat16 has few.
  const patterns = new Float64Array(65_536);
  for (const { name } of tensorsInScope(checkpoint, parseScope(scope))) {
    const { data } = await checkpoint.read(name);
    for (let index = 0; index < data.length; index++) patterns[data[index]!]! += 1;
  }
  const values = bf16ToFloat32(Uint16Array.from(patterns, (_, pattern) => pattern));
  const edges = Array.from({ length: bins + 1 }, (_, index) => (limit * (2 * index - bins)) / bins);
  const counts = Array<number>(bins).fill(0);
  let [zeros, outside, count] = [0, 0, 0];
  for (const [pattern, weights] of patterns.entries()) {
    const value = values[pattern]!;
    count += weights;
    if (value === 0) zeros += weights;
    else if (value >= -limit && value < limit) counts[binOf(value, edges)]! += weights;
    else outside += weights;
  }
  return { name: checkpoint.name, edges, counts, zeros, outside, count };
}

function binOf(value: number, edges: readonly number[]): number {
  const [first, last, bins] = [edges[0]!, edges.at(-1)!, edges.length - 1];
  const guess = Math.min(bins - 1, Math.floor(((value - first) / (last - first)) * bins));
  // Rounding may put a value beside its bin.
  if (value < edges[guess]!) return guess - 1;
  return guess < bins - 1 && value >= edges[guess + 1]! ? guess + 1 : guess;
}

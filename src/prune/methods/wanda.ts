/** The methods that score each weight by its size and by the inputs it meets, and change no other: Wanda and RIA. */
import type { Matrix } from "../../onnx/matrix.ts";
import { zeroLowest } from "../select.ts";
import type { PruneLayer, PruningMethod } from "./method.ts";

/** By the columns' squares: for each input column the mean over windows of the sum over tokens of x². */
type Score = (weights: Matrix, squares: Float64Array) => Float32Array;

/** |w| times its column's norm. */
export const scoreWanda: Score = (weights, squares) =>
  scoreBy(weights, {
    columns: Float32Array.from(squares, Math.sqrt),
    columnShares: new Float32Array(weights.columns).fill(1),
    rowShares: new Float32Array(weights.rows),
  });

/** |w| relative to the sums of its row and of its column, times the root of the column's norm. */
export const scoreRia: Score = (weights, squares) => {
  const { data, rows, columns } = weights;
  const rowSums = new Float64Array(rows);
  const columnSums = new Float64Array(columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      const magnitude = Math.abs(data[at]!);
      rowSums[row]! += magnitude;
      columnSums[column]! += magnitude;
    }
  }
  // A row or column of zeros has no weight that the share could be of, and one that is not finite no sum.
  const share = (sum: number) => (sum > 0 && sum < Infinity ? Math.min(1 / sum, largestFloat32) : 0);
  return scoreBy(weights, {
    columns: Float32Array.from(squares, (square) => square ** 0.25),
    columnShares: Float32Array.from(columnSums, share),
    rowShares: Float32Array.from(rowSums, share),
  });
};

const smallestFloat32 = 2 ** -149;
const largestFloat32 = (2 - 2 ** -23) * 2 ** 127;

/**
 * |w| × `columns[column]` × (`columnShares[column]` + `rowShares[row]`), rounded to float32 at each step. A weight that is zero already goes
 * before any other, also before those that meet no input; one that is not finite goes last.
 */
function scoreBy(
  { data, rows, columns }: Matrix,
  factors: { columns: Float32Array; columnShares: Float32Array; rowShares: Float32Array },
): Float32Array {
  const { columns: ofColumn, columnShares, rowShares } = factors;
  const scores = new Float32Array(data.length);
  for (let row = 0, at = 0; row < rows; row++) {
    const rowShare = rowShares[row]!;
    for (let column = 0; column < columns; column++, at++) {
      const magnitude = Math.abs(data[at]!);
      if (magnitude === 0) continue;
      const factor = Math.fround(ofColumn[column]! * Math.fround(columnShares[column]! + rowShare));
      scores[at] = magnitude < Infinity ? Math.max(smallestFloat32, magnitude * factor) : Number.NaN;
    }
  }
  return scores;
}

const pruneBy =
  (score: Score): PruneLayer =>
  (weights, { statistics }, { pattern, sparsity }) =>
    zeroLowest(weights.data, score(weights, statistics.squares), weights.columns, pattern, sparsity);

export const wanda: PruningMethod = {
  name: "wanda",
  needs: "squares",
  pattern: "row",
  summary: "zeroes the weights with the smallest |w| times the norm of their inputs",
  source: "Sun et al. 2023, arXiv 2306.11695",
  prune: pruneBy(scoreWanda),
};

export const ria: PruningMethod = {
  name: "ria",
  needs: "squares",
  pattern: "tensor",
  summary: "as wanda, with |w| relative to the sums of its row and column, and the root of the norm",
  source: 'Zhang et al. 2024, "Plug-and-Play" (ICLR)',
  prune: pruneBy(scoreRia),
};

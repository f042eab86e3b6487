/** How important weights are, seen with the inputs they meet: one score per weight, not negative, low ones go first. */
import type { Matrix } from "../onnx/matrix.ts";

/**
 * What makes scores of magnitudes: |w| × `columns[column]` × (`columnShares[column]` + `rowShares[row]`), rounded to float32 at each step, so
 * that every device comes to the same. No factor is negative, or so small that a GPU may take it for zero.
 */
export interface ScoreFactors {
  readonly columns: Float32Array;
  readonly columnShares: Float32Array;
  readonly rowShares: Float32Array;
}

/** By the columns' squares: for each input column the mean over windows of the sum over tokens of x². */
export type FactorScores = (weights: Matrix, squares: Float64Array) => ScoreFactors;

/** Wanda (Sun et al. 2023, arXiv 2306.11695): |w| times its column's norm. */
export const wandaFactors: FactorScores = ({ rows, columns }, squares) => ({
  columns: Float32Array.from(squares, (square) => withoutSubnormal(Math.sqrt(square))),
  columnShares: new Float32Array(columns).fill(1),
  rowShares: new Float32Array(rows),
});

/**
 * RIA (Zhang et al. 2024, "Plug-and-Play"): |w| relative to the sums of its row and of its column, times the root of the column's norm.
 */
export const riaFactors: FactorScores = ({ data, rows, columns }, squares) => {
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
  const share = (sum: number) => (sum > 0 && sum < Infinity ? withoutSubnormal(Math.min(1 / sum, largestFloat32)) : 0);
  return {
    columns: Float32Array.from(squares, (square) => withoutSubnormal(square ** 0.25)),
    columnShares: Float32Array.from(columnSums, share),
    rowShares: Float32Array.from(rowSums, share),
  };
};

/** Magnitude (Han et al. 2015, arXiv 1506.02626): |w|, whatever the inputs. */
export function scoreMagnitude({ data }: Matrix): Float32Array {
  return data.map(Math.abs);
}

/**
 * The scores of weights by their factors. A weight that is zero already goes before any other, also where inputs are zero; what a GPU may
 * take for zero counts as float32's smallest number; a weight that is no finite number as the highest.
 */
export function scoreBy({ data, rows, columns }: Matrix, factors: ScoreFactors): Float32Array {
  const { columns: ofColumn, columnShares, rowShares } = factors;
  const scores = new Float32Array(data.length);
  for (let row = 0, at = 0; row < rows; row++) {
    const rowShare = rowShares[row]!;
    for (let column = 0; column < columns; column++, at++) {
      const magnitude = Math.abs(data[at]!);
      if (magnitude === 0) continue;
      const factor = withoutSubnormal(Math.fround(ofColumn[column]! * Math.fround(columnShares[column]! + rowShare)));
      const score = Math.fround(magnitude * factor);
      if (!(magnitude < Infinity)) scores[at] = Number.NaN;
      else scores[at] = magnitude < smallestNormal || score < smallestNormal ? smallestFloat32 : score;
    }
  }
  return scores;
}

export function scoreWanda(weights: Matrix, squares: Float64Array): Float32Array {
  return scoreBy(weights, wandaFactors(weights, squares));
}

function withoutSubnormal(value: number): number {
  return value < smallestNormal ? 0 : value;
}

const smallestNormal = 2 ** -126;
const smallestFloat32 = 2 ** -149;
const largestFloat32 = (2 - 2 ** -23) * 2 ** 127;

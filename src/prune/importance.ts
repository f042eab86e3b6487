/** How important weights are, seen with the inputs they meet: one score per weight, not negative, low ones go first. */
import type { Matrix } from "../onnx/matrix.ts";

/** By the columns' squares: for each input column the mean over windows of the sum over tokens of x². */
export type ScoreWeights = (weights: Matrix, squares: Float64Array) => Float32Array;

/** Magnitude (Han et al. 2015, arXiv 1506.02626): |w|, whatever the inputs. */
export const scoreMagnitude: ScoreWeights = ({ data }) => data.map(Math.abs);

/** Wanda (Sun et al. 2023, arXiv 2306.11695): |w| times its column's norm. */
export const scoreWanda: ScoreWeights = ({ data, columns }, squares) => {
  const norms = Float32Array.from(squares, Math.sqrt);
  const scores = new Float32Array(data.length);
  for (let row = 0; row < data.length; row += columns) {
    for (let column = 0; column < columns; column++) {
      scores[row + column] = above0(data[row + column]!, Math.abs(data[row + column]!) * norms[column]!);
    }
  }
  return scores;
};

/**
 * RIA (Zhang et al. 2024, "Plug-and-Play"): |w| relative to the sums of its row and of its column, times the root of the column's norm.
 */
export const scoreRia: ScoreWeights = ({ data, rows, columns }, squares) => {
  const rowSums = new Float64Array(rows);
  const columnSums = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const magnitude = Math.abs(data[row * columns + column]!);
      rowSums[row]! += magnitude;
      columnSums[column]! += magnitude;
    }
  }
  const scores = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const magnitude = Math.abs(data[row * columns + column]!);
      // 0 / 0 where a whole row or column is zero
      const share = magnitude === 0 ? 0 : magnitude / columnSums[column]! + magnitude / rowSums[row]!;
      scores[row * columns + column] = above0(magnitude, share * squares[column]! ** 0.25);
    }
  }
  return scores;
};

/** A weight that is zero already goes before any other, also where inputs are zero. */
function above0(weight: number, score: number): number {
  return weight === 0 ? 0 : Math.max(score, smallestFloat32);
}

const smallestFloat32 = 2 ** -149;

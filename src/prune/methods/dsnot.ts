/**
 * DSnoT (Zhang et al. 2023, "Dynamic Sparse No Training", arXiv 2310.08915): a row's zeroed weights shift its mean output; weights come back
 * and go until the shift is small.
 */
import type { Matrix } from "../../onnx/matrix.ts";
import type { InputStatistics } from "../statistics.ts";
import type { MaskRefinement } from "./method.ts";
import { scoreWanda } from "./wanda.ts";

// The paper's code's defaults.
const mostCycles = 50;
const smallEnough = 0.1;

/** Refines the mask of `pruned` in place; counts per row stay as they were, kept weights keep their values. */
function refineDsnot(dense: Matrix, pruned: Matrix, { squares, sums, tokens }: InputStatistics): void {
  const { rows, columns, data } = dense;
  const wanda = scoreWanda(dense, squares);
  const variances = squares.map((square, column) => square / tokens - (sums[column]! / tokens) ** 2 || Number.EPSILON);
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    const shiftOf = (column: number) => data[at + column]! * sums[column]!;
    let shift = 0;
    for (let column = 0; column < columns; column++) if (pruned.data[at + column] === 0) shift += shiftOf(column);
    for (let cycle = 0; cycle < mostCycles && Math.abs(shift) > smallEnough; cycle++) {
      const sign = Math.sign(shift);
      let [back, out] = [-1, -1];
      let [largest, lowest] = [0, Number.POSITIVE_INFINITY];
      for (let column = 0; column < columns; column++) {
        const own = sign * shiftOf(column);
        if (pruned.data[at + column] === 0) {
          const gain = own / variances[column]!;
          if (gain > largest) [largest, back] = [gain, column];
        } else if (own < 0 && wanda[at + column]! < lowest) [lowest, out] = [wanda[at + column]!, column];
      }
      if (back < 0 || out < 0) break;
      const next = shift + shiftOf(out) - shiftOf(back);
      if (Math.abs(next) >= Math.abs(shift)) break;
      pruned.data[at + back] = data[at + back]!;
      pruned.data[at + out] = 0;
      shift = next;
    }
  }
}

export const dsnot: MaskRefinement = {
  name: "dsnot",
  needs: "gram",
  keepsGroups: false,
  summary: "swaps weights of a row until the shift of its mean output is small",
  source: "Zhang et al. 2023, arXiv 2310.08915",
  refine: (dense, pruned, { statistics }) => refineDsnot(dense, pruned, statistics),
};

/** Prunes one linear layer by what its inputs were: mask, then what betters the mask, then what betters the kept weights. */
import type { Matrix } from "../onnx/matrix.ts";
import { scoreMagnitude, scoreRia, scoreWanda } from "./importance.ts";
import { zeroLowest } from "./lowest.ts";
import type { CalibratedPlan } from "./options.ts";
import { inverseFactor, pruneSparseGpt } from "./sparsegpt.ts";
import type { InputStatistics } from "./statistics.ts";

const scores = { magnitude: scoreMagnitude, wanda: scoreWanda, ria: scoreRia };

/** A layer's inputs, with what several layers that share them would compute again. */
export interface LinearInputs {
  readonly statistics: InputStatistics;
  /** SparseGPT's factor of the Gram matrix. */
  factor(): Promise<Matrix>;
}

export function rememberFactor(statistics: InputStatistics): LinearInputs {
  let factor: Promise<Matrix> | undefined;
  return { statistics, factor: () => (factor ??= inverseFactor(statistics.gram!)) };
}

/** The pruned weights; `dense` is `[out, in]` and stays as it is. */
export async function pruneLinear(
  dense: Matrix,
  inputs: LinearInputs,
  { method, pattern }: CalibratedPlan,
  sparsity: number,
): Promise<Matrix> {
  const { squares } = inputs.statistics;
  const pruned: Matrix = { ...dense, data: dense.data.slice() };
  if (method === "sparsegpt") {
    // Weights that meet nothing but zeros go first, and those of them that stay, stay as they were.
    const isDead = (index: number) => squares[index % dense.columns] === 0;
    for (let index = 0; index < dense.data.length; index++) if (isDead(index)) pruned.data[index]! *= 1e-12;
    await pruneSparseGpt(pruned, await inputs.factor(), pattern, sparsity);
    for (let index = 0; index < dense.data.length; index++) {
      if (isDead(index) && pruned.data[index] !== 0) pruned.data[index] = dense.data[index]!;
    }
  } else {
    zeroLowest(pruned.data, scores[method](dense, squares), dense.columns, pattern, sparsity);
  }
  return pruned;
}

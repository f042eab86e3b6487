/** Prunes one linear layer by what its inputs were: mask, then what betters the mask, then what betters the kept weights. */
import { type Matrix, multiply } from "../onnx/matrix.ts";
import { type AdmmInputs, admmInputs, pruneAdmm } from "./admm.ts";
import { refineDsnot } from "./dsnot.ts";
import { scoreMagnitude, scoreRia, scoreWanda } from "./importance.ts";
import { zeroLowest } from "./lowest.ts";
import type { CalibratedPlan } from "./options.ts";
import { reconstruct } from "./reconstruct.ts";
import { inverseFactor, pruneSparseGpt } from "./sparsegpt.ts";
import type { InputStatistics } from "./statistics.ts";
import { swapMask } from "./swaps.ts";

const scores = { magnitude: scoreMagnitude, wanda: scoreWanda, ria: scoreRia };

/** A layer's inputs, with what several layers that share them would compute again. */
export interface LinearInputs {
  readonly statistics: InputStatistics;
  /** The Gram matrix in float32. */
  gram(): Matrix;
  /** SparseGPT's factor of it. */
  factor(): Promise<Matrix>;
  admm(): Promise<AdmmInputs>;
  /** The outputs to fit to, times the inputs: `dense` times the Gram matrix, or its counterpart with the dense model's inputs. */
  target(dense: Matrix): Promise<Matrix>;
}

export function rememberInputs(statistics: InputStatistics): LinearInputs {
  let gram: Matrix | undefined;
  let factor: Promise<Matrix> | undefined;
  let admm: Promise<AdmmInputs> | undefined;
  const single = (matrix: Matrix<Float64Array>): Matrix => ({ ...matrix, data: Float32Array.from(matrix.data) });
  let cross: Matrix | undefined;
  const inputs: LinearInputs = {
    statistics,
    gram: () => (gram ??= single(statistics.gram!)),
    target: async (dense) => {
      if (!statistics.cross) return await multiply(dense, inputs.gram());
      cross ??= single(statistics.cross);
      return await multiply(dense, cross, { transposeB: true });
    },
    factor: () => (factor ??= inverseFactor(statistics.gram!)),
    admm: () => (admm ??= admmInputs(statistics.gram!)),
  };
  return inputs;
}

/** The pruned weights; `dense` is `[out, in]` and stays as it is. */
export async function pruneLinear(
  dense: Matrix,
  inputs: LinearInputs,
  plan: CalibratedPlan,
  sparsity: number,
): Promise<Matrix> {
  const { method, pattern, refine } = plan;
  const { squares } = inputs.statistics;
  const pruned: Matrix = { ...dense, data: dense.data.slice() };
  if (method === "sparsegpt" || method === "admm") {
    // Weights that meet nothing but zeros go first, and those of them that stay, stay as they were.
    const isDead = (index: number) => squares[index % dense.columns] === 0;
    for (let index = 0; index < dense.data.length; index++) if (isDead(index)) pruned.data[index]! *= 1e-12;
    if (method === "sparsegpt") await pruneSparseGpt(pruned, await inputs.factor(), pattern, sparsity);
    else await pruneAdmm(pruned, await inputs.target(dense), await inputs.admm(), pattern, sparsity);
    for (let index = 0; index < dense.data.length; index++) {
      if (isDead(index) && pruned.data[index] !== 0) pruned.data[index] = dense.data[index]!;
    }
  } else {
    zeroLowest(pruned.data, scores[method](dense, squares), dense.columns, pattern, sparsity);
  }
  if (refine === "swaps") await swapMask(dense, pruned, inputs.gram(), pattern);
  if (refine === "dsnot") refineDsnot(dense, pruned, inputs.statistics);
  if (plan.reconstruct) await reconstruct(dense, pruned, inputs.gram(), await inputs.target(dense));
  return pruned;
}

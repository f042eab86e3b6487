/** Prunes one linear layer by what its inputs were: mask, then what betters the mask, then what betters the kept weights. */
import type { Matrix } from "../onnx/matrix.ts";
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
}

export function rememberInputs(statistics: InputStatistics): LinearInputs {
  let gram: Matrix | undefined;
  let factor: Promise<Matrix> | undefined;
  let admm: Promise<AdmmInputs> | undefined;
  return {
    statistics,
    gram: () => (gram ??= { ...statistics.gram!, data: Float32Array.from(statistics.gram!.data) }),
    factor: () => (factor ??= inverseFactor(statistics.gram!)),
    admm: () => (admm ??= admmInputs(statistics.gram!)),
  };
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
    else await pruneAdmm(pruned, await inputs.admm(), pattern, sparsity);
    for (let index = 0; index < dense.data.length; index++) {
      if (isDead(index) && pruned.data[index] !== 0) pruned.data[index] = dense.data[index]!;
    }
  } else {
    zeroLowest(pruned.data, scores[method](dense, squares), dense.columns, pattern, sparsity);
  }
  if (refine === "swaps") await swapMask(dense, pruned, inputs.gram(), pattern);
  if (refine === "dsnot") refineDsnot(dense, pruned, inputs.statistics);
  if (plan.reconstruct) await reconstruct(dense, pruned, inputs.gram());
  return pruned;
}

/** Prunes one linear layer by what its inputs were: mask, then what betters the mask, then what betters the kept weights. */
import { float32ToBf16 } from "../checkpoint/half.ts";
import { type Matrix, multiply } from "../onnx/matrix.ts";
import type { Device } from "./device.ts";
import { type Gpu, pruneOnGpu } from "./gpu.ts";
import { riaFactors, scoreBy, scoreMagnitude, wandaFactors } from "./importance.ts";
import { zeroLowest } from "./lowest.ts";
import { type AdmmInputs, admmInputs, pruneAdmm } from "./methods/admm.ts";
import { refineDsnot } from "./methods/dsnot.ts";
import { reconstruct } from "./methods/reconstruct.ts";
import { inverseFactor, pruneSparseGpt } from "./methods/sparsegpt.ts";
import { swapMask } from "./methods/swaps.ts";
import type { CalibratedPlan } from "./options.ts";
import type { InputStatistics } from "./statistics.ts";
import type { Selection } from "./task.ts";

/**
 * How far from what a layer now gets to what it gets in the dense model the inputs lie whose outputs compensation fits to. All the way does harm: a
 * perplexity of 33.2 where none leaves 23.3 and a quarter 22.6 (notebooks/LOG.md). GPTAQ (Li et al. 2025, arXiv 2504.02692) damps its like correction
 * as much.
 */
const compensation = 0.25;

/** A layer's inputs, with what several layers that share them would compute again. */
export interface LinearInputs {
  readonly statistics: InputStatistics;
  /** The Gram matrix in float32. */
  gram(): Matrix;
  /** SparseGPT's factor of it. */
  factor(): Promise<Matrix>;
  admm(): Promise<AdmmInputs>;
  /** The outputs to fit to, times the inputs: `dense` times the Gram matrix, or its counterpart with inputs nearer to the dense model's. */
  target(dense: Matrix): Promise<Matrix>;
}

export function rememberInputs(statistics: InputStatistics): LinearInputs {
  let gram: Matrix | undefined;
  let factor: Promise<Matrix> | undefined;
  let admm: Promise<AdmmInputs> | undefined;
  const single = (matrix: Matrix<Float64Array>): Matrix => ({ ...matrix, data: Float32Array.from(matrix.data) });
  const blend = (gram: Matrix<Float64Array>, cross: Matrix<Float64Array>): Matrix => ({
    ...cross,
    data: Float32Array.from(
      cross.data,
      (value, index) => gram.data[index]! + compensation * (value - gram.data[index]!),
    ),
  });
  let cross: Matrix | undefined;
  const inputs: LinearInputs = {
    statistics,
    gram: () => (gram ??= single(statistics.gram!)),
    target: async (dense) => {
      if (!statistics.cross) return await multiply(dense, inputs.gram());
      cross ??= blend(statistics.gram!, statistics.cross);
      return await multiply(dense, cross, { transposeB: true });
    },
    factor: () => (factor ??= inverseFactor(statistics.gram!)),
    admm: () => (admm ??= admmInputs(statistics.gram!)),
  };
  return inputs;
}

/** The pruned weights; `dense` is `[out, in]`, of numbers that bfloat16 holds, and stays as it is. Without a device the CPU does all. */
export async function pruneLinear(
  dense: Matrix,
  inputs: LinearInputs,
  plan: CalibratedPlan,
  sparsity: number,
  device?: Device,
): Promise<Matrix> {
  const { method, pattern, refine } = plan;
  const { squares } = inputs.statistics;
  const pruned: Matrix = { ...dense, data: dense.data.slice() };
  // Fits would come back to the dense weights but for the last bits.
  if (sparsity === 0) return pruned;
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
    const factors =
      method === "magnitude" ? undefined : { wanda: wandaFactors, ria: riaFactors }[method](dense, squares);
    const onGpu = (gpu: Gpu) => zeroOnGpu(gpu, pruned, { method: factors ?? "magnitude", pattern, sparsity });
    const onCpu = () => {
      const scores = factors ? scoreBy(dense, factors) : scoreMagnitude(dense);
      zeroLowest(pruned.data, scores, dense.columns, pattern, sparsity);
    };
    await (device ? device.run(onGpu, onCpu) : onCpu());
  }
  if (refine === "swaps") await swapMask(dense, pruned, inputs.gram(), pattern);
  if (refine === "dsnot") refineDsnot(dense, pruned, inputs.statistics);
  if (plan.reconstruct) await reconstruct(dense, pruned, inputs.gram(), await inputs.target(dense));
  return pruned;
}

async function zeroOnGpu(gpu: Gpu, { rows, columns, data }: Matrix, selection: Selection): Promise<void> {
  const tensor = { name: "weights", shape: [rows, columns], data: float32ToBf16(data) };
  await pruneOnGpu(gpu, [tensor], selection);
  for (let index = 0; index < data.length; index++) if (tensor.data[index] === 0) data[index] = 0;
}

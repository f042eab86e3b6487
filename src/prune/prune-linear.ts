/** Prunes one linear layer by a plan: mask, then what refines the mask, then what fits the kept weights. */
import { type Matrix, multiply } from "../onnx/matrix.ts";
import { type LinearInputs, singleGram } from "./methods/method.ts";
import { reconstruct } from "./methods/reconstruct.ts";
import type { CalibratedPlan } from "./options.ts";
import type { InputStatistics } from "./statistics.ts";

export function rememberInputs(statistics: InputStatistics): LinearInputs {
  const made = new Map<unknown, unknown>();
  return {
    statistics,
    once<Made>(make: (statistics: InputStatistics) => Made): Made {
      if (!made.has(make)) made.set(make, make(statistics));
      return made.get(make) as Made;
    },
  };
}

/** The pruned weights; `dense` is `[out, in]`, of numbers that bfloat16 holds, and stays as it is. */
export async function pruneLinear(
  dense: Matrix,
  inputs: LinearInputs,
  plan: Pick<CalibratedPlan, "method" | "pattern" | "refine" | "reconstruct"> &
    Partial<Pick<CalibratedPlan, "quantize">>,
  sparsity: number,
): Promise<Matrix> {
  const { method, pattern, refine, quantize } = plan;
  const pruned: Matrix = { ...dense, data: dense.data.slice() };
  // Fits would come back to the dense weights but for the last bits.
  if (sparsity === 0 && !quantize) return pruned;
  // Weights that meet nothing but zeros go first, and those of them that stay, stay as they were.
  const isDead = (index: number) =>
    method.fitsWeights === true && inputs.statistics.squares[index % dense.columns] === 0;
  for (let index = 0; index < dense.data.length; index++) if (isDead(index)) pruned.data[index]! *= 1e-12;
  await method.prune!(pruned, inputs, { pattern, sparsity, quantize });
  for (let index = 0; index < dense.data.length; index++) {
    if (isDead(index) && pruned.data[index] !== 0) pruned.data[index] = dense.data[index]!;
  }
  await refine?.refine(dense, pruned, inputs, pattern);
  if (plan.reconstruct) {
    const gram = inputs.once(singleGram);
    await reconstruct(dense, pruned, gram, await multiply(dense, gram));
  }
  return pruned;
}

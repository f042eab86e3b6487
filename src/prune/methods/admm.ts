/**
 * Mask and weights together by the alternating direction method of multipliers (Boža 2024, "Fast and Effective Weight Update for
 * Pruned Large Language Models", arXiv 2401.02938), with the sparsity raised step by step.
 */
import { type Matrix, multiply } from "../../onnx/matrix.ts";
import { inverseCholesky } from "../cholesky.ts";
import { zeroLowest } from "../select.ts";
import type { InputStatistics } from "../statistics.ts";
import { type LayerSelection, type PruningMethod, singleGram } from "./method.ts";

// The paper's: columns scaled to unit norm, a tenth of that as damping, a penalty of 1, twenty steps, the mask fixed after fifteen.
const damping = 0.1;
const penalty = 1;
const steps = 20;
const maskSteps = 15;

/** What ADMM needs of a layer's inputs. */
interface AdmmInputs {
  /** The columns' norms; 1 for one without input. */
  readonly norms: Float64Array;
  /** The inverse of the Gram matrix of inputs scaled to norm 1, damped, plus the penalty. */
  readonly inverse: Matrix;
}

async function admmInputs({ gram }: InputStatistics): Promise<AdmmInputs> {
  const { rows: n, data } = gram!;
  const norms = Float64Array.from({ length: n }, (_, i) => Math.sqrt(data[i * n + i]!) || 1);
  const scaled = Float64Array.from(data, (value, index) => value / (norms[Math.floor(index / n)]! * norms[index % n]!));
  for (let i = 0; i < n; i++) scaled[i * n + i]! += damping + penalty;
  const lower = await inverseCholesky({ rows: n, columns: n, data: scaled });
  if (!lower) throw new Error("internal: damped Gram matrix is not positive definite");
  const inverse = await multiply(lower, lower, { transposeA: true });
  return { norms, inverse: { ...inverse, data: Float32Array.from(inverse.data) } };
}

/** Prunes `[out, in]` weights in place. `target`: the outputs to fit to, times the inputs. */
async function pruneAdmm(
  weights: Matrix,
  target: Matrix,
  { norms, inverse }: AdmmInputs,
  { pattern, sparsity }: LayerSelection,
): Promise<void> {
  const { rows, columns, data } = weights;
  const shape = { rows, columns };
  // In scaled columns a weight's magnitude is Wanda's score.
  let w: Float32Array = data.map((value, index) => value * norms[index % columns]!);
  const scaledTarget = w.map((value, index) => target.data[index]! / norms[index % columns]! + damping * value);
  const dual = new Float32Array(data.length);
  const kept = new Float32Array(data.length);
  const scores = new Float32Array(data.length);
  const right = new Float32Array(data.length);
  for (let step = 0; step < steps; step++) {
    for (let index = 0; index < data.length; index++) scores[index] = Math.abs(w[index]! + dual[index]!);
    if (step < maskSteps) {
      kept.fill(1);
      const now = typeof pattern === "object" ? sparsity : sparsity * (1 - (1 - (step + 1) / maskSteps) ** 3);
      zeroLowest(kept, scores, columns, pattern, now);
    }
    for (let index = 0; index < data.length; index++) {
      const z = kept[index] === 0 ? 0 : w[index]! + dual[index]!;
      dual[index]! += w[index]! - z;
      right[index] = scaledTarget[index]! + penalty * (z - dual[index]!);
    }
    w = (await multiply({ ...shape, data: right }, inverse)).data;
  }
  for (let index = 0; index < data.length; index++) {
    data[index] = kept[index] === 0 ? 0 : (w[index]! + dual[index]!) / norms[index % columns]!;
  }
}

export const admm: PruningMethod = {
  name: "admm",
  needs: "gram",
  pattern: "tensor",
  fitsWeights: true,
  summary: "seeks mask and weights together by alternating directions (ADMM)",
  source: "Boža 2024, arXiv 2401.02938",
  prune: async (weights, inputs, selection) => {
    const target = await multiply(weights, inputs.once(singleGram));
    await pruneAdmm(weights, target, await inputs.once(admmInputs), selection);
  },
};

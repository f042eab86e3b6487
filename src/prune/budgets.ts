/** How sparse each tensor is to become, so that all of them together are as sparse as asked for. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { elementCount, type TensorInfo } from "../checkpoint/tensor.ts";
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { linearInputs } from "../model/block-graph.ts";
import { readBlock } from "../model/run-block.ts";
import type { Calibration } from "./calibration.ts";
import { scoreWanda } from "./methods/wanda.ts";
import type { CalibratedPlan } from "./options.ts";
import { type DenseSquaresOptions, denseSquares } from "./statistics.ts";

// OWL's paper: a weight stands out at five times its block's mean Wanda score; budgets differ from the mean by up to 0.08.
const outlierFactor = 5;
const widest = 0.08;

/** The sparsity of each tensor, by name; `calibration` is looked at for OWL alone. */
export async function tensorSparsities(
  dense: Checkpoint,
  infos: readonly TensorInfo[],
  { budgets, sparsity }: CalibratedPlan,
  calibration: Calibration,
  options: DenseSquaresOptions = {},
): Promise<ReadonlyMap<string, number>> {
  if (typeof budgets === "object") return namedBudgets(infos, budgets, sparsity);
  if (budgets === "uniform") return new Map(infos.map(({ name }) => [name, sparsity]));
  const layerOf = (name: string) => placeInBlock(name)!.layer;
  const counts = new Map<number, number>();
  for (const { name, shape } of infos) {
    counts.set(layerOf(name), (counts.get(layerOf(name)) ?? 0) + elementCount(shape));
  }
  const blocks = await owlBudgets(dense, calibration, counts, sparsity, options);
  return new Map(infos.map(({ name }) => [name, blocks.get(layerOf(name))!]));
}

/**
 * Tensors whose name a key matches get that key's sparsity (the first key counts); all others share one, such that the whole is `sparsity`.
 *
 * @throws PrunelabError if a key matches no tensor, or the others cannot make up for it.
 */
export function namedBudgets(
  infos: readonly TensorInfo[],
  budgets: Readonly<Record<string, number>>,
  sparsity: number,
): ReadonlyMap<string, number> {
  const keys = Object.entries(budgets).map(([key, value]) => ({ key, value, pattern: new RegExp(key) }));
  const named = new Map<string, number>();
  let [count, wanted, unnamed] = [0, 0, 0];
  for (const { name, shape } of infos) {
    const size = elementCount(shape);
    const key = keys.find(({ pattern }) => pattern.test(name));
    if (key) named.set(name, key.value);
    else unnamed += size;
    count += size;
    wanted += size * (sparsity - (key?.value ?? 0));
  }
  const idle = keys.find(({ pattern }) => !infos.some(({ name }) => pattern.test(name)));
  if (idle) throw new PrunelabError(`budget matches no tensor in scope: ${idle.key}; choose e.g. k_proj`);
  if (unnamed === 0) throw new PrunelabError("budgets name every tensor; leave some to make up for the others");
  // Sums of fractions may end a hair beside zero.
  const rest = Math.abs(wanted) < 1e-9 * count ? 0 : wanted / unnamed;
  if (!(rest >= 0 && rest < 1)) {
    throw new PrunelabError(
      `budgets do not leave the whole at ${sparsity}: the tensors that no key names would need ${rest.toFixed(3)}; choose budgets nearer to it`,
    );
  }
  return new Map(infos.map(({ name }) => [name, named.get(name) ?? rest]));
}

/**
 * OWL (Yin et al. 2023, arXiv 2310.05175): blocks in which more weights stand out keep more. The sparsity of each of some blocks; their mean,
 * each weighted by its weights in scope, is `sparsity`.
 */
async function owlBudgets(
  dense: Checkpoint,
  calibration: Calibration,
  /** Weights in scope, by block. */
  counts: ReadonlyMap<number, number>,
  sparsity: number,
  options: DenseSquaresOptions,
): Promise<ReadonlyMap<number, number>> {
  const squares = await denseSquares(dense, calibration, options);
  const shares: number[] = [];
  for (const layer of counts.keys()) {
    const inputs = squares[layer]!;
    const weights = await readBlock(dense, layer);
    const scores: Float32Array[] = [];
    for (const [input, names] of Object.entries(linearInputs)) {
      const columns = Float64Array.from(inputs[input as keyof typeof linearInputs]!);
      for (const name of names) {
        const data = weights.get(`${name}.weight`)!;
        scores.push(scoreWanda({ rows: data.length / columns.length, columns: columns.length, data }, columns));
      }
    }
    shares.push(outlierShare(scores));
  }
  const budgets = shareOut(shares, [...counts.values()], sparsity);
  return new Map([...counts.keys()].map((layer, index) => [layer, budgets[index]!]));
}

/** The share of scores above `outlierFactor` times the mean of all. */
function outlierShare(scores: readonly Float32Array[]): number {
  const count = scores.reduce((sum, part) => sum + part.length, 0);
  const total = scores.reduce((sum, part) => part.reduce((inner, score) => inner + score, sum), 0);
  const threshold = (outlierFactor * total) / count;
  return scores.reduce((sum, part) => part.reduce((inner, score) => inner + Number(score > threshold), sum), 0) / count;
}

/** Sparsities that fall as the outliers' shares rise, 2 × `widest` apart at most, each in [0, 1), with the mean over `counts` weights asked for. */
export function shareOut(shares: readonly number[], counts: readonly number[], sparsity: number): number[] {
  const [least, most] = [Math.min(...shares), Math.max(...shares)];
  // At very low or high sparsity the budgets have less space.
  const width = Math.min(widest, sparsity / 2, (1 - sparsity) / 2);
  const raised = shares.map((share) => (most > least ? ((share - least) / (most - least)) * 2 * width : 0));
  const count = counts.reduce((sum, own) => sum + own, 0);
  const mean = raised.reduce((sum, value, index) => sum + value * counts[index]!, 0) / count;
  return raised.map((value) => sparsity - (value - mean));
}

/** OWL (Yin et al. 2023, arXiv 2310.05175): blocks in which more weights stand out keep more. */
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { linearInputs } from "../../model/block-graph.ts";
import { readBlock } from "../../model/run-block.ts";
import type { OnProgress } from "../../progress.ts";
import type { Calibration } from "../calibration.ts";
import { denseSquares } from "../dense-squares.ts";
import { scoreWanda } from "../importance.ts";

// The paper's: a weight stands out at five times its block's mean Wanda score; budgets differ from the mean by up to 0.08.
const outlierFactor = 5;
const widest = 0.08;

/** The sparsity of each of some blocks; their mean, each weighted by its weights in scope, is `sparsity`. */
export async function owlBudgets(
  dense: Checkpoint,
  calibration: Calibration,
  /** Weights in scope, by block. */
  counts: ReadonlyMap<number, number>,
  sparsity: number,
  onProgress?: OnProgress,
): Promise<ReadonlyMap<number, number>> {
  const squares = await denseSquares(dense, calibration, onProgress);
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
  // At very low or high sparsity the budgets have less room.
  const width = Math.min(widest, sparsity / 2, (1 - sparsity) / 2);
  const raised = shares.map((share) => (most > least ? ((share - least) / (most - least)) * 2 * width : 0));
  const count = counts.reduce((sum, own) => sum + own, 0);
  const mean = raised.reduce((sum, value, index) => sum + value * counts[index]!, 0) / count;
  return raised.map((value) => sparsity - (value - mean));
}

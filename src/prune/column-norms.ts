/** How large the inputs are that each column of the linear layers meets: what Wanda weighs weights by. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { listener, type OnProgress } from "../progress.ts";
import { type CalibrationOptions, loadCalibration } from "./calibration.ts";
import { denseSquares } from "./dense-squares.ts";

/** The norms of one block's input of linear layers, over its columns. */
export interface ColumnNorms {
  readonly layer: number;
  /** The linear layer that it is named by, e.g. `mlp.down_proj`; those that share an input share its first one's name. */
  readonly input: string;
  /** Columns. */
  readonly width: number;
  readonly median: number;
  readonly largest: number;
  /** Columns whose norm is more than ten times the median. */
  readonly outliers: number;
}

/**
 * The norm of every input column of the dense model's linear layers: the root of the mean over windows of the sum over tokens of x²
 * (Sun et al. 2023, arXiv 2306.11695). Measured once for a model and its windows, then kept in the cache.
 *
 * @throws PrunelabError where the calibration windows cannot be had.
 */
export async function columnNorms(
  dense: Checkpoint,
  { onProgress, ...options }: CalibrationOptions & { readonly onProgress?: OnProgress } = {},
): Promise<ColumnNorms[]> {
  const blocks = await denseSquares(dense, await loadCalibration(dense, options), listener(onProgress));
  return blocks.flatMap((block, layer) =>
    Object.entries(block).map(([input, squares]) => {
      const norms = squares.map(Math.sqrt).sort((a, b) => a - b);
      const median = (norms[Math.floor((norms.length - 1) / 2)]! + norms[Math.ceil((norms.length - 1) / 2)]!) / 2;
      const outliers = norms.filter((norm) => norm > 10 * median).length;
      return { layer, input, width: norms.length, median, largest: norms.at(-1)!, outliers };
    }),
  );
}

/** The inputs' squares in all blocks of the dense model: measured once for a model and its calibration windows, then kept in the cache. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { cacheFolder } from "../hub/cache-folder.ts";
import type { LinearInput } from "../model/block-graph.ts";
import { advance, embedWindows, openBlock, readBlock } from "../model/run-block.ts";
import type { OnProgress } from "../progress.ts";
import type { Calibration } from "./calibration.ts";
import { openInputMeter } from "./statistics.ts";

/** By block, then by input: each column's mean over windows of the sum over tokens of x². */
export type DenseSquares = Partial<Record<LinearInput, number[]>>[];

export async function denseSquares(
  dense: Checkpoint,
  calibration: Calibration,
  onProgress?: OnProgress,
): Promise<DenseSquares> {
  // The number is the code's, to be raised when results change.
  const key = `1-${(await dense.digest()).slice(0, 16)}-${calibration.digest.slice(0, 16)}`;
  const path = join(cacheFolder("pruning"), `dense-squares-${key}.json`);
  const kept = await readFile(path, "utf8").catch(() => undefined);
  if (kept !== undefined) return JSON.parse(kept);
  const { num_hidden_layers: count } = dense.config;
  const hidden = await embedWindows(dense, calibration.windows);
  const meter = openInputMeter(dense, "squares", { skipFirst: !calibration.countBos });
  const passOn = openBlock(dense.config, ["hidden_out"]);
  const blocks: DenseSquares = [];
  try {
    for (let layer = 0; layer < count; layer++) {
      onProgress?.({ step: "measure the dense model", done: layer, total: count, unit: "blocks" });
      const weights = await readBlock(dense, layer);
      const inputs = await meter.measure(layer, weights, hidden);
      blocks.push(Object.fromEntries([...inputs].map(([name, { squares }]) => [name, [...squares]])));
      if (layer < count - 1) await advance(passOn, layer, weights, hidden);
    }
  } finally {
    await meter.release();
    await passOn.release();
  }
  // Written whole or not at all, so what is there can be trusted.
  await writeFileAtomic(path, JSON.stringify(blocks));
  return blocks;
}

/** Goes through the blocks in order: measures a block's inputs with its predecessors pruned, prunes it, passes its outputs on. */
import { createHash } from "node:crypto";
import { readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32, float32ToBf16 } from "../checkpoint/half.ts";
import type { Tensor, TensorInfo } from "../checkpoint/tensor.ts";
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { cacheFolder } from "../hub/cache-folder.ts";
import { withLock } from "../hub/lock.ts";
import { type LinearInput, linearInputs } from "../model/block-graph.ts";
import { advance, type BlockWeights, embedWindows, openBlock, readBlock } from "../model/run-block.ts";
import { namedBudgets, tensorSparsities } from "./budgets.ts";
import { type Calibration, loadCalibration } from "./calibration.ts";
import { type Device, openDevice } from "./device.ts";
import { type BlockInScope, readDoneBlocks, writeDoneBlock } from "./done-blocks.ts";
import type { CalibratedPlan, PruneOptions } from "./options.ts";
import { pruneLinear, rememberInputs } from "./prune-linear.ts";
import { countZeros } from "./sparsity.ts";
import { type InputStatistics, openInputMeter } from "./statistics.ts";

// Pruned linear layers, 200 MB each for Gemma 3 270M.
const keptRuns = 6;

/** Tensors that were pruned, and the zeros of the dense ones, by name, as far as those were read on the way. */
export interface PrunedBlocks {
  readonly tensors: readonly Tensor[];
  readonly zerosBefore: ReadonlyMap<string, number>;
}

/**
 * The pruned tensors, in the order of `infos`. What is done lies in the cache, block by block, so that a stopped run goes on at its block
 * and a finished one is not run again.
 */
export async function pruneBlocks(
  dense: Checkpoint,
  infos: readonly TensorInfo[],
  plan: CalibratedPlan,
  options: Pick<PruneOptions, "onProgress" | "onNotice"> = {},
): Promise<PrunedBlocks> {
  const { onProgress } = options;
  const layers = groupByBlock(infos);
  const zerosBefore = new Map<string, number>();
  // A mistake in budgets is told before texts are read.
  if (typeof plan.budgets === "object") namedBudgets(infos, plan.budgets, plan.sparsity);
  const calibration = await loadCalibration(dense, plan.calibration);
  const selectsOnDevice = plan.method !== "sparsegpt" && plan.method !== "admm";
  if (!selectsOnDevice && plan.device === "webgpu") {
    options.onNotice?.(`pruning on the CPU, where ${plan.method} always runs`);
  }
  const folder = join(cacheFolder("pruning"), await runKey(dense, infos, plan, calibration));
  const tensors = await withLock(folder, async () => {
    const done = await readDoneBlocks(folder, layers);
    if (done.length < layers.length) {
      const device = await openDevice(selectsOnDevice ? plan.device : "cpu", options);
      try {
        await pruneFrom(done, device);
      } finally {
        device.close();
      }
    }
    const now = new Date();
    await utimes(folder, now, now);
    return done.flat();
  });
  await removeOldest(cacheFolder("pruning"));
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return { tensors: infos.map(({ name }) => byName.get(name)!), zerosBefore };

  /** Prunes the blocks that are not done yet and adds them to those that are. */
  async function pruneFrom(done: Tensor[][], device: Device): Promise<void> {
    const hidden = await embedWindows(dense, calibration.windows);
    const denseHidden = plan.compensate ? { ...hidden, data: hidden.data.slice() } : undefined;
    const passOn = openBlock(dense.config, ["hidden_out"]);
    const sparsities = await tensorSparsities(dense, infos, plan, calibration, onProgress);
    const needsGram =
      plan.method === "sparsegpt" || plan.method === "admm" || plan.refine !== undefined || plan.reconstruct;
    const meter = openInputMeter(dense, needsGram ? "gram" : "squares", {
      skipFirst: !calibration.countBos,
      withDense: denseHidden !== undefined,
    });
    try {
      for (const [index, { layer, infos }] of layers.entries()) {
        onProgress?.({ step: `prune by ${plan.method}`, done: index, total: layers.length, unit: "blocks" });
        const weights = await readBlock(dense, layer);
        for (const { name } of infos) zerosBefore.set(name, countZeros(weights.get(nameInBlock(name))!));
        if (index < done.length || infos.length === 0) {
          if (denseHidden) await advance(passOn, layer, weights, denseHidden);
          done[index] ??= [];
        } else {
          const stream = denseHidden && { weights, hidden: denseHidden };
          const statistics = await meter.measure(layer, weights, hidden, stream);
          const pruned = await pruneBlock(infos, weights, statistics, sparsities, device);
          await writeDoneBlock(folder, layer, pruned);
          done.push(pruned);
        }
        for (const { name, data } of done[index]!) bf16ToFloat32(data, weights.get(nameInBlock(name))!);
        if (index < layers.length - 1) await advance(passOn, layer, weights, hidden);
      }
    } finally {
      await passOn.release();
      await meter.release();
    }
    onProgress?.({ step: `prune by ${plan.method}`, done: layers.length, total: layers.length, unit: "blocks" });
  }

  async function pruneBlock(
    infos: readonly TensorInfo[],
    weights: BlockWeights,
    statistics: ReadonlyMap<LinearInput, InputStatistics>,
    sparsities: ReadonlyMap<string, number>,
    device: Device,
  ): Promise<Tensor[]> {
    const pruned: Tensor[] = [];
    for (const [input, names] of Object.entries(linearInputs)) {
      const inputs = rememberInputs(statistics.get(input as LinearInput)!);
      for (const name of names) {
        const info = infos.find((info) => nameInBlock(info.name) === `${name}.weight`);
        if (!info) continue;
        const [rows = 0, columns = 0] = info.shape;
        const dense = { rows, columns, data: weights.get(`${name}.weight`)! };
        const { data } = await pruneLinear(dense, inputs, plan, sparsities.get(info.name)!, device);
        pruned.push({ ...info, data: float32ToBf16(data) });
      }
    }
    return pruned;
  }
}

/** All blocks up to the last one in scope, with those of their tensors that are. */
function groupByBlock(infos: readonly TensorInfo[]): BlockInScope[] {
  const known = new Set(Object.values(linearInputs).flatMap((names) => names.map((name) => `${name}.weight`)));
  const blocks: TensorInfo[][] = [];
  for (const info of infos) {
    const place = placeInBlock(info.name);
    if (!place || !known.has(place.name)) {
      throw new PrunelabError(
        `not a linear layer inside a block, which calibrated pruning needs: ${info.name}; leave it out of scope`,
      );
    }
    blocks[place.layer] = [...(blocks[place.layer] ?? []), info];
  }
  return Array.from(blocks, (infos, layer) => ({ layer, infos: infos ?? [] }));
}

function nameInBlock(name: string): string {
  return placeInBlock(name)!.name;
}

/** Equal keys mean equal results, whatever the device. The number is the code's, to be raised when results change. */
async function runKey(
  dense: Checkpoint,
  infos: readonly TensorInfo[],
  { calibration: _, scope: __, device: ___, ...plan }: CalibratedPlan,
  { digest }: Calibration,
): Promise<string> {
  const parts = [5, await dense.digest(), digest, plan, infos.map(({ name }) => name)];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

async function removeOldest(folder: string): Promise<void> {
  const runs = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const used = await Promise.all(
    runs.map(async ({ name }) => ({
      name,
      mtimeMs: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0,
    })),
  );
  used.sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { name } of used.slice(keptRuns)) await rm(join(folder, name), { recursive: true, force: true });
}

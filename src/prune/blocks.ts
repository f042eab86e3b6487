/** Goes through the blocks in order: measures a block's inputs with its predecessors pruned, prunes it, passes its outputs on. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { throwIfInterrupted } from "../base/interrupted.ts";
import { fileSource } from "../checkpoint/byte-source.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32, float32ToBf16 } from "../checkpoint/half.ts";
import { readSafetensorsHeader, readSafetensorsTensor, writeSafetensors } from "../checkpoint/safetensors.ts";
import type { Tensor, TensorInfo } from "../checkpoint/tensor.ts";
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { cachedFolder } from "../hub/cached.ts";
import { type LinearInput, linearInputs } from "../model/block-graph.ts";
import { advance, type BlockWeights, embedWindows, openBlock, readBlock } from "../model/run-block.ts";
import { availableDevice } from "../onnx/available-device.ts";
import { namedBudgets, tensorSparsities } from "./budgets.ts";
import { type Calibration, loadCalibration } from "./calibration.ts";
import type { CalibratedPlan, PruneOptions } from "./options.ts";
import { pruneLinear, rememberInputs } from "./prune-linear.ts";
import { countZeros } from "./sparsity.ts";
import { type InputStatistics, openInputMeter } from "./statistics.ts";

/** Tensors that were pruned, and the zeros of the dense ones, by name, and of the pruned ones, as far as they were counted on the way. */
export interface PrunedTensors {
  readonly tensors: readonly Tensor[];
  readonly zerosBefore: ReadonlyMap<string, number>;
  readonly zeros?: readonly number[];
}

/**
 * The pruned tensors, in the order of `infos`. What is done lies in the cache, block by block, so that a stopped run goes on at its block
 * and a finished one is not run again.
 */
export async function pruneBlocks(
  dense: Checkpoint,
  infos: readonly TensorInfo[],
  plan: CalibratedPlan,
  { signal, onProgress, onNotice }: Pick<PruneOptions, "signal" | "onProgress" | "onNotice"> = {},
): Promise<PrunedTensors> {
  const { method } = plan;
  const layers = groupByBlock(infos);
  const zerosBefore = new Map<string, number>();
  // A mistake in budgets is reported before texts are read.
  if (typeof plan.budgets === "object") namedBudgets(infos, plan.budgets, plan.sparsity);
  const calibration = await loadCalibration(dense, plan.calibration);
  const device = await availableDevice(plan.device, "calibrating", onNotice);
  const key = await runKey(dense, infos, { ...plan, device }, calibration);
  const tensors = await cachedFolder("pruning", dense.name, key, async (folder) => {
    const done = await readDoneBlocks(folder, layers);
    if (done.length < layers.length) await pruneFrom(done, folder);
    return done.flat();
  });
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return { tensors: infos.map(({ name }) => byName.get(name)!), zerosBefore };

  /** Prunes the blocks that are not done yet and adds them to those that are. */
  async function pruneFrom(done: Tensor[][], folder: string): Promise<void> {
    const hidden = await embedWindows(dense, calibration.windows);
    const passOn = openBlock(dense.config, ["hidden_out"], { device });
    const sparsities = await tensorSparsities(dense, infos, plan, calibration, { device, signal, onProgress });
    const needsGram = method.needs === "gram" || plan.refine?.needs === "gram" || plan.reconstruct;
    const meter = openInputMeter(dense, needsGram ? "gram" : "squares", {
      skipFirst: !calibration.countBos,
      device,
      signal,
    });
    try {
      for (const [index, { layer, infos }] of layers.entries()) {
        throwIfInterrupted();
        signal?.throwIfAborted();
        onProgress?.({ step: `prune by ${method.name}`, done: index, total: layers.length, unit: "blocks" });
        const weights = await readBlock(dense, layer);
        for (const { name } of infos) zerosBefore.set(name, countZeros(weights.get(nameInBlock(name))!));
        if (index < done.length || infos.length === 0) {
          done[index] ??= [];
        } else {
          const statistics = await meter.measure(layer, weights, hidden);
          const pruned = await pruneBlock(infos, weights, statistics, sparsities);
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
    onProgress?.({ step: `prune by ${method.name}`, done: layers.length, total: layers.length, unit: "blocks" });
  }

  async function pruneBlock(
    infos: readonly TensorInfo[],
    weights: BlockWeights,
    statistics: ReadonlyMap<LinearInput, InputStatistics>,
    sparsities: ReadonlyMap<string, number>,
  ): Promise<Tensor[]> {
    const pruned: Tensor[] = [];
    for (const [input, names] of Object.entries(linearInputs)) {
      const inputs = rememberInputs(statistics.get(input as LinearInput)!);
      for (const name of names) {
        const info = infos.find((info) => nameInBlock(info.name) === `${name}.weight`);
        if (!info) continue;
        signal?.throwIfAborted();
        const [rows = 0, columns = 0] = info.shape;
        const dense = { rows, columns, data: weights.get(`${name}.weight`)! };
        const { data } = await pruneLinear(dense, inputs, plan, sparsities.get(info.name)!);
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

/** Equal keys mean equal results. */
async function runKey(
  dense: Checkpoint,
  infos: readonly TensorInfo[],
  { calibration: _, scope: __, method, refine, ...plan }: CalibratedPlan,
  { digest }: Calibration,
): Promise<readonly unknown[]> {
  const asked = { ...plan, method: method.name, refine: refine?.name };
  return [await dense.digest(), digest, asked, infos.map(({ name }) => name)];
}

/** A block and those of its tensors that are to be pruned; none for a block that only passes on. */
interface BlockInScope {
  readonly layer: number;
  readonly infos: readonly TensorInfo[];
}

/** The tensors of the first blocks, as far as they are done; one whose file is damaged is not. */
async function readDoneBlocks(folder: string, blocks: readonly BlockInScope[]): Promise<Tensor[][]> {
  const done: Tensor[][] = [];
  for (const { layer, infos } of blocks) {
    const path = blockPath(folder, layer);
    if (infos.length > 0 && !existsSync(path)) break;
    const tensors = await readDoneBlock(path, infos).catch(() => undefined);
    if (!tensors) break;
    done.push(tensors);
  }
  return done;
}

async function readDoneBlock(path: string, infos: readonly TensorInfo[]): Promise<Tensor[]> {
  if (infos.length === 0) return [];
  const entries = await readSafetensorsHeader(await fileSource(path));
  const tensors: Tensor[] = [];
  for (const { name, shape } of infos) {
    tensors.push({ name, shape, data: await readSafetensorsTensor(entries.get(name)!) });
  }
  return tensors;
}

async function writeDoneBlock(folder: string, layer: number, tensors: readonly Tensor[]): Promise<void> {
  if (tensors.length === 0) return;
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  await writeSafetensors(blockPath(folder, layer), tensors, async (name) => byName.get(name)!);
}

function blockPath(folder: string, layer: number): string {
  return join(folder, `block-${layer}.safetensors`);
}

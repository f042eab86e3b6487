/**
 * Block-wise recovery: each block is fitted to what the dense model's block gives, one block in memory at a time. Local reconstruction as in EBFT
 * (Guo et al. 2024, arXiv 2402.12419): the block's inputs are those of its recovered predecessors, its targets come from the dense model's own
 * stream, and the error is taken behind the norm that follows, relative to the target's size.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import { readJsonObject } from "../base/json.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { LayerType } from "../checkpoint/config.ts";
import { familyOf } from "../checkpoint/families.ts";
import { bf16ToFloat32, float32ToBf16 } from "../checkpoint/half.ts";
import { blockTensors } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { windowOf } from "../model/decoder.ts";
import {
  advance,
  type BlockWeights,
  causalMask,
  embedWindows,
  type HiddenStates,
  openBlock,
  readBlock,
} from "../model/run-block.ts";
import { type Device, type Feeds, float32, int64, openSession, type Session } from "../onnx/session.ts";
import { buildBlockFit, hasNextNorm } from "./block.ts";
import { type LoopOptions, learningRateAt } from "./loop-options.ts";
import { readVector, trainingOf } from "./network.ts";
import { openParameters } from "./parameters.ts";
import { type FileTensor, readTensorFile, writeTensorFile } from "./tensor-file.ts";

export interface BlockReport {
  readonly layer: number;
  /** Squared error relative to the target's, over all windows: before and with the weights that were kept. */
  readonly before: number;
  readonly after: number;
}

export interface BlockRecoveryOptions
  extends Pick<LoopOptions, "learningRate" | "minutes" | "onProgress" | "onNotice" | "signal"> {
  /** Passes over the windows for each block, unless `minutes` says how many steps there are. */
  readonly epochs: number;
  readonly device: Device;
  readonly folder: string;
  readonly key: string;
}

/** Tokens that go through together where nothing is learnt. */
const measureTokens = 1024;

/**
 * @returns The recovered linear layers by name, in float32 whose values are bfloat16's, and what each block reached.
 * @throws PrunelabError when the disk is full, or another run lies in the folder.
 */
export async function recoverBlocks(
  pruned: Checkpoint,
  dense: Checkpoint,
  windows: readonly (readonly number[])[],
  options: BlockRecoveryOptions,
): Promise<{ values: Map<string, Float32Array>; blocks: BlockReport[]; stopped: "finished" | "aborted" }> {
  const { config } = pruned;
  const { folder, onProgress, signal, device } = options;
  const training = trainingOf(config, { method: "masked" });
  const shapes = new Map(blockTensors(config).map(({ name, shape }) => [name, shape]));
  const layers = config.num_hidden_layers;
  const tokens = windows[0]!.length;
  const together = Math.max(1, Math.floor(measureTokens / tokens));
  const run = await openRun(options);
  // One window a step: with as few steps as there are here, more of them do more than larger ones.
  let steps = run.steps ?? Math.max(1, Math.round(options.epochs * windows.length));

  const tell = (done: number, error?: number) => {
    const detail = error === undefined ? {} : { detail: `error ${error.toPrecision(3)}` };
    onProgress?.({ step: "recover", done, total: layers, unit: "blocks", ...detail });
  };
  const own = await embedWindows(pruned, windows);
  const target: HiddenStates = { ...own, data: own.data.slice() };
  const passOn = openBlock(config, ["hidden_out"], { device });
  const sessions = new Map<LayerType, Promise<FitSessions>>();
  const values = new Map<string, Float32Array>();
  const blocks: BlockReport[] = [];
  let stopped: "finished" | "aborted" = "finished";
  try {
    for (let layer = 0; layer < layers; layer++) {
      const denseWeights = await readBlock(dense, layer);
      await advance(passOn, layer, denseWeights, target);
      const weights = await readBlock(pruned, layer);
      const path = join(folder, `block-${layer}.safetensors`);
      if (existsSync(path)) {
        const { tensors, note } = await readTensorFile(path);
        for (const [name, { data }] of tensors) weights.set(name, data as Float32Array);
        blocks.push(note as unknown as BlockReport);
      } else {
        const report = signal?.aborted ? undefined : await fit(layer, weights);
        if (!report) {
          stopped = "aborted";
          break;
        }
        blocks.push(report);
        const kept = new Map<string, FileTensor>(
          training.trained.map((name) => [name, { shape: shapes.get(name)!, data: weights.get(name)! }]),
        );
        await writeTensorFile(path, kept, { ...report });
      }
      for (const name of training.trained) values.set(`model.layers.${layer}.${name}`, weights.get(name)!);
      await advance(passOn, layer, weights, own);
      tell(layer + 1, blocks.at(-1)?.after);
    }
  } finally {
    await passOn.release();
    for (const opened of sessions.values()) {
      const { fit, measure } = await opened;
      await Promise.all([fit.release(), measure.release()]);
    }
  }
  return { values, blocks, stopped };

  /** Trains the block's linear layers in place; they are put back where that does not lessen the error. Nothing where it was stopped on the way. */
  async function fit(layer: number, weights: BlockWeights): Promise<BlockReport | undefined> {
    const type = config.layer_types[layer]!;
    const opened = sessions.get(type) ?? openFit(buildBlockFit(config, type, tokens, training), device);
    sessions.set(type, opened);
    const session = await opened;
    const group = await openParameters(
      training.trained.map((name) => ({ name, values: weights.get(name)! })),
      { keepZeros: true },
    );
    const gradients: Feeds = {};
    const feeds: Feeds = { mask: causalMask(tokens, windowOf(config, type) ?? tokens) };
    for (const [name, array] of weights) feeds[name] = float32(array, shapes.get(name)!);
    for (const { name, values, gradient } of group.parameters) {
      feeds[name] = float32(values, shapes.get(name)!);
      gradients[`gradient.${name}`] = float32(gradient, shapes.get(name)!);
    }
    const norm = await nextNorm(pruned, layer);
    if (norm) feeds.next_norm = float32(norm, [norm.length]);
    const normed = norm ? normRows(target.data, norm, config.rms_norm_eps) : target.data;
    const size = config.hidden_size;
    const runBatch = async (first: number, count: number, withGradients: boolean) => {
      const [from, to] = [first * tokens * size, (first + count) * tokens * size];
      const goal = normed.subarray(from, to);
      const squares = goal.reduce((sum, x) => sum + x * x, 0);
      const positions = Array.from({ length: count * tokens }, (_, index) => index % tokens);
      const inputs: Feeds = {
        ...feeds,
        hidden: float32(own.data.subarray(from, to), [count, tokens, size]),
        position_ids: int64(positions, [count, tokens]),
        target: float32(goal, [count * tokens, size]),
      };
      const scale = float32(Float32Array.of(2 / squares), []);
      const outputs = withGradients
        ? await session.fit.run({ ...inputs, scale }, { ...gradients, error: null })
        : await session.measure.run(inputs);
      return { error: (outputs.error!.data as Float32Array)[0]!, squares };
    };
    const measure = async () => {
      let [error, squares] = [0, 0];
      for (let first = 0; first < windows.length; first += together) {
        const part = await runBatch(first, Math.min(together, windows.length - first), false);
        error += part.error;
        squares += part.squares;
      }
      return error / squares;
    };
    const measuredFrom = performance.now();
    const before = await measure();
    const from = performance.now();
    // Both models' windows were and will be passed on, and the error is measured twice: all about as long as the first measure.
    const besideSteps = (4 * (from - measuredFrom)) / 1000;
    for (let step = 1; step <= steps; step++) {
      if (signal?.aborted) return undefined;
      const { error, squares } = await runBatch((step - 1) % windows.length, 1, true);
      if (!Number.isFinite(error)) break;
      const learningRate = learningRateAt(step, steps, { ...options, warmupSteps: 3 });
      group.update({ learningRate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, step, scale: 1 });
      if (step === 3 && run.steps === undefined && options.minutes !== undefined) {
        const perStep = (performance.now() - from) / 1000 / 3;
        steps = Math.max(3, Math.floor(((options.minutes * 60) / layers - besideSteps) / perStep));
        run.steps = steps;
        await writeFileAtomic(join(folder, "run.json"), JSON.stringify(run));
      }
      if (step < steps) tell(layer + step / steps, error / squares);
    }
    for (const { values } of group.parameters) values.set(bf16ToFloat32(float32ToBf16(values)));
    const after = await measure();
    const isBetter = after < before;
    if (!isBetter)
      options.onNotice?.(
        `block ${layer} is left as it was: training it did not lessen its error; choose a lower learning rate`,
      );
    if (isBetter) for (const { name, values } of group.parameters) weights.set(name, values.slice());
    return { layer, before, after: isBetter ? after : before };
  }
}

interface FitSessions {
  readonly fit: Session;
  readonly measure: Session;
}

async function openFit(graphs: ReturnType<typeof buildBlockFit>, device: Device): Promise<FitSessions> {
  return { fit: await openSession(graphs.fit, { device }), measure: await openSession(graphs.measure, { device }) };
}

async function openRun({ folder, key }: BlockRecoveryOptions): Promise<{ key: string; steps?: number }> {
  const path = join(folder, "run.json");
  if (existsSync(path)) {
    const run = await readJsonObject(path);
    if (run.key !== key) {
      throw new PrunelabError(
        `another run lies in ${folder}: other options, data or weights; name another folder or remove this one`,
      );
    }
    return run as { key: string; steps?: number };
  }
  await writeFileAtomic(path, JSON.stringify({ key }));
  return { key };
}

/** The weight of the norm that stands behind a block; undefined where the family has none before attention. */
async function nextNorm(checkpoint: Checkpoint, layer: number): Promise<Float32Array | undefined> {
  const { config } = checkpoint;
  if (!hasNextNorm(config)) return undefined;
  const isLast = layer === config.num_hidden_layers - 1;
  const { beforeAttention } = familyOf(config).norms;
  return readVector(checkpoint, isLast ? "model.norm.weight" : `model.layers.${layer + 1}.${beforeAttention}.weight`);
}

/** RMSNorm of each row. */
function normRows(x: Float32Array, weight: Float32Array, epsilon: number): Float32Array {
  const size = weight.length;
  const y = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += size) {
    let squares = 0;
    for (let i = 0; i < size; i++) squares += x[at + i]! ** 2;
    const r = 1 / Math.sqrt(squares / size + epsilon);
    for (let i = 0; i < size; i++) y[at + i] = x[at + i]! * r * weight[i]!;
  }
  return y;
}

/** Of the inputs of a run. */
export function runKey(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

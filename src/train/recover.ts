/** Recovers a pruned model with its dense one as the teacher: by distillation of the whole, or block by block. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { cacheFolder } from "../hub/cache-folder.ts";
import { availableDevice } from "../onnx/available-device.ts";
import { type BlockReport, recoverBlocks, runKey } from "./block-recovery.ts";
import { loadTrainingData } from "./data.ts";
import { type FinetuneOptions, finetune, heard, overlay } from "./finetune.ts";
import type { TrainingReport } from "./loop.ts";
import { checkLoop } from "./loop-options.ts";
import { checkPattern, maskOf } from "./mask.ts";

export const recoveryMethods = ["distill", "blocks"] as const;

export interface RecoverOptions extends Omit<FinetuneOptions, "method" | "teacher" | "lora" | "prompt"> {
  /** The dense model. */
  readonly teacher: Checkpoint;
  readonly method: (typeof recoveryMethods)[number];
}

export interface RecoveredCheckpoint extends Checkpoint {
  /** Of distillation. */
  readonly training?: TrainingReport;
  /** Of block-wise recovery. */
  readonly blocks?: readonly BlockReport[];
}

/**
 * Trains the linear layers that pruning left, zeros staying zero to the bit, and returns a checkpoint. `"distill"`: half cross-entropy, half KL
 * divergence from the teacher's whole distribution, on a quarter of the positions unless said otherwise, prompts included. `"blocks"`: each block
 * towards the dense model's outputs, with 64 windows (fewer in less than 16 minutes) and 2 passes unless `windows`, `epochs` or `minutes` say
 * otherwise. Windows are of 256 tokens, one a step, unless `tokens` and `batchSize` say otherwise: in the few steps that minutes allow, more of them do
 * more than larger ones. A run that was stopped goes on where it was.
 *
 * @throws PrunelabError for options, data, a teacher or a mask that do not fit, before work starts; when the disk is full.
 */
export async function recover(pruned: Checkpoint, given: RecoverOptions): Promise<RecoveredCheckpoint> {
  const options = heard(given);
  const { teacher, method } = options;
  if (!recoveryMethods.includes(method)) {
    throw new PrunelabError(`unknown method: ${method}; choose one of ${recoveryMethods.join(", ")}`);
  }
  const tokens = options.tokens ?? Math.min(256, pruned.config.max_position_embeddings);
  // More than any processor gets through.
  const most = options.minutes === undefined ? {} : { windows: Math.max(16, Math.ceil(options.minutes * 120)) };
  if (method === "distill") {
    return finetune(pruned, {
      completionOnlyLoss: false,
      positions: 0.25,
      batchSize: 1,
      ...(options.minutes !== undefined && most),
      ...options,
      tokens,
      method: "masked",
    });
  }
  const loop = { learningRate: 1e-3, ...options };
  checkLoop(loop);
  if (options.pattern !== undefined) checkPattern(await maskOf(pruned), options.pattern);
  checkShapes(pruned, teacher);
  // In little time many windows would leave none to train: each goes through four times beside the steps.
  const windows = Math.min(64, Math.max(8, Math.round(4 * (options.minutes ?? 16))));
  const data = await loadTrainingData(pruned, { windows, heldOut: 0, completionOnlyLoss: false, ...options, tokens });
  const device = await availableDevice(options.device ?? "cpu", "training", options.onNotice);
  const key = runKey([
    3,
    await pruned.digest(),
    await teacher.digest(),
    data.digest,
    loop.learningRate,
    options.epochs,
    options.minutes,
    device,
  ]);
  const folder = options.folder ?? join(cacheFolder("training"), key);
  const { values, blocks, stopped } = await recoverBlocks(
    pruned,
    teacher,
    data.windows.map(({ ids }) => ids),
    { ...loop, epochs: options.epochs ?? 2, device, folder, key },
  );
  if (stopped === "finished") await removeBlocks(folder, blocks.length);
  else
    options.onNotice?.(
      `stopped after ${blocks.length} blocks; the others are as they were; the same call goes on there`,
    );
  return { ...overlay(pruned, values, `${pruned.name}-recovered`), blocks };
}

function checkShapes(pruned: Checkpoint, teacher: Checkpoint): void {
  for (const { name, shape } of pruned.tensors.values()) {
    const other = teacher.tensors.get(name)?.shape;
    if (other?.join() === shape.join()) continue;
    throw new PrunelabError(
      `the teacher is of another shape: ${teacher.name}: ${name} is ${other?.join(" × ") ?? "missing"}, here ${shape.join(" × ")}; give the dense model`,
    );
  }
}

async function removeBlocks(folder: string, layers: number): Promise<void> {
  await rm(join(folder, "run.json"), { force: true });
  for (let layer = 0; layer < layers; layer++) await rm(join(folder, `block-${layer}.safetensors`), { force: true });
}

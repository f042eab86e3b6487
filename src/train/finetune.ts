/** Fine-tunes a checkpoint: all linear layers under their mask, norms alone, LoRA, or a prompt; alone or towards a teacher. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { checkInteger } from "../base/check-integer.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { float32ToBf16 } from "../checkpoint/half.ts";
import { embeddingName, headName, weightOffset } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { cacheFolder } from "../hub/cache-folder.ts";
import { loadTokenizer } from "../model/tokenizer.ts";
import { availableDevice } from "../onnx/available-device.ts";
import type { Device } from "../onnx/session.ts";
import { listener, notice } from "../progress.ts";
import { type Adapter, applyAdapter } from "./adapter.ts";
import type { LoraConfig } from "./block.ts";
import { loadTrainingData, type TrainingDataOptions } from "./data.ts";
import { removeState, type TrainingReport, trainNetwork } from "./loop.ts";
import { checkLoop, type LoopOptions } from "./loop-options.ts";
import { checkPattern, maskOf } from "./mask.ts";
import { type Network, openNetwork, type TrainedParts, trainingOf } from "./network.ts";
import { promptOf, randomPrompt } from "./prompt.ts";
import { openTeacher } from "./teacher.ts";

export const finetuneMethods = ["masked", "norms", "lora", "prompt"] as const;
export type FinetuneMethod = (typeof finetuneMethods)[number];

export interface FinetuneOptions extends TrainingDataOptions, Omit<LoopOptions, "learningRate"> {
  readonly method: FinetuneMethod;
  /** Default 1e-4 for `masked`, 1e-3 for `norms`, 2e-4 for `lora`, 3e-2 for `prompt`. */
  readonly learningRate?: number;
  /** A model with the same embedding, whose distribution over the whole vocabulary is learnt; what it says stays in the cache. */
  readonly teacher?: Checkpoint;
  /** PEFT's names and defaults: r 8, lora_alpha 8, lora_dropout 0, q_proj and v_proj; apart from the weights unless `masked`. */
  readonly lora?: Partial<LoraConfig>;
  /** Virtual tokens, 8 unless given, drawn at random or made of the embeddings of a text. */
  readonly prompt?: { readonly tokens?: number; readonly text?: string };
  /** Such as `"2:4"`: training starts only if the weights have this pattern. */
  readonly pattern?: string;
  /** Where the graphs run, through ONNX Runtime: `"cpu"` (the default), `"webgpu"`, `"cuda"`, `"dml"` or `"coreml"`; the optimizer stays on the CPU. If the device cannot be opened, the CPU takes over. */
  readonly device?: Device;
  /** Keeps the run's state, to go on with; in the cache unless given. */
  readonly folder?: string;
}

/** A checkpoint as any other; LoRA and prompts are also there apart. A prompt leaves the checkpoint as it was. */
export interface FinetunedCheckpoint extends Checkpoint {
  readonly adapter?: Adapter;
  readonly training: TrainingReport;
}

const defaultRates: Record<FinetuneMethod, number> = { masked: 1e-4, norms: 1e-3, lora: 2e-4, prompt: 3e-2 };

/**
 * Trains on rows or text and returns the weights with the lowest held-out loss. A run that was stopped goes on where its state was last kept, with
 * the same losses to the last digit.
 *
 * `"masked"`: all linear layers; weights that are zero stay zero to the bit. `"norms"`: the norms alone (PERP: Zimmer et al. 2023, arXiv
 * 2312.15230). `"lora"`: Hu et al. 2021, arXiv 2106.09685. `"prompt"`: Lester et al. 2021, arXiv 2104.08691.
 *
 * @throws PrunelabError for options, data, a teacher or a mask that do not fit, before training starts; when the disk is full.
 */
export async function finetune(model: Checkpoint, given: FinetuneOptions): Promise<FinetunedCheckpoint> {
  const options = heard(given);
  const { method, seed = 0, teacher } = options;
  if (!finetuneMethods.includes(method)) {
    throw new PrunelabError(`unknown method: ${method}; choose one of ${finetuneMethods.join(", ")}`);
  }
  const loop: LoopOptions = { ...options, learningRate: options.learningRate ?? defaultRates[method] };
  checkLoop(loop);
  const lora = loraOf(options);
  if (method === "lora") trainingOf(model.config, { method, lora, seed });
  if (options.pattern !== undefined) checkPattern(await maskOf(model), options.pattern);
  if (teacher) await checkTeacher(model, teacher);
  const data = await loadTrainingData(model, options);
  const parts = await partsOf(model, options, lora);
  const device = await availableDevice(options.device ?? "cpu", "training", options.onNotice);
  const key = await keyOf(model, { ...options, device }, loop, lora, data.digest);
  const folder = options.folder ?? join(cacheFolder("training"), key);
  const micro = loop.microBatchSize ?? Math.floor(1024 / data.tokens);
  const network = await openNetwork(model, data.tokens, parts, {
    accumulates: (loop.batchSize ?? 2) > Math.max(1, micro),
    device,
  });
  const teaching = teacher && (await openTeacher(teacher, data.tokens, { embeddings: network.embeddings, device }));
  try {
    const teach = teaching?.teach;
    const training = await trainNetwork(network, data, { folder, key, teach }, loop);
    const result = await resultOf(model, network, method, lora, training);
    if (training.stopped === "finished") await removeState(folder);
    return result;
  } finally {
    await network.release();
    await teaching?.release();
  }
}

/** The options with who hears of progress and notices: whoever asked, else the kernel or standard error. */
export function heard<T extends Pick<LoopOptions, "onProgress" | "onNotice">>(options: T): T {
  const onProgress = listener(options.onProgress);
  return { ...options, onNotice: options.onNotice ?? notice, ...(onProgress && { onProgress }) };
}

function loraOf({ lora = {} }: FinetuneOptions): LoraConfig {
  const { r = 8, lora_alpha = 8, lora_dropout = 0, target_modules = ["q_proj", "v_proj"], masked = false } = lora;
  checkInteger("lora.r", r, 1);
  if (!(lora_alpha > 0)) throw new PrunelabError(`invalid lora_alpha: ${lora_alpha}; choose a number above 0`);
  if (!(lora_dropout >= 0 && lora_dropout < 1))
    throw new PrunelabError(`invalid lora_dropout: ${lora_dropout}; choose a share in [0, 1)`);
  if (masked && lora_dropout > 0)
    throw new PrunelabError(`lora_dropout is for LoRA apart from the weights: ${lora_dropout}; leave it out`);
  return { r, lora_alpha, lora_dropout, target_modules, masked };
}

async function partsOf(
  model: Checkpoint,
  { method, prompt = {}, seed = 0 }: FinetuneOptions,
  lora: LoraConfig,
): Promise<TrainedParts> {
  if (method === "lora") return { method, lora, seed };
  if (method !== "prompt") return { method };
  const { tokens = 8, text } = prompt;
  checkInteger("prompt.tokens", tokens, 1);
  if (text === undefined) return { method, prompt: await randomPrompt(model, tokens, seed) };
  const ids = loadTokenizer(await model.tokenizer()).encode(text, { addSpecialTokens: false });
  if (ids.length === 0) throw new PrunelabError("no tokens in prompt.text; give some words, or leave it out");
  return {
    method,
    prompt: await promptOf(
      model,
      Array.from({ length: tokens }, (_, i) => ids[i % ids.length]!),
    ),
  };
}

/**
 * The head's weight must be the same: a teacher leaves its mean row of it.
 *
 * @throws PrunelabError when it is another.
 */
export async function checkTeacher(model: Checkpoint, teacher: Checkpoint): Promise<void> {
  for (const name of new Set([embeddingName, headName(model.config)])) {
    const [own, other] = [
      (await model.read(name)).data,
      teacher.tensors.has(name) ? (await teacher.read(name)).data : [],
    ];
    if (own.length === other.length && own.every((bits, index) => bits === other[index])) continue;
    throw new PrunelabError(
      `the teacher has another ${name}: ${teacher.name}; choose one with the student's vocabulary and embedding`,
    );
  }
}

async function keyOf(
  model: Checkpoint,
  { method, prompt, teacher, positions, seed, device }: FinetuneOptions,
  loop: LoopOptions,
  lora: LoraConfig,
  data: string,
): Promise<string> {
  const {
    learningRate,
    lrSchedulerType,
    warmupSteps,
    weightDecay,
    maxGradNorm,
    batchSize,
    microBatchSize,
    epochs,
    maxSteps,
    minutes,
    distillation,
    evaluations,
  } = loop;
  const parts = [
    1,
    await model.digest(),
    await teacher?.digest(),
    method,
    prompt,
    lora,
    positions,
    seed,
    data,
    learningRate,
    lrSchedulerType,
    warmupSteps,
    weightDecay,
    maxGradNorm,
    batchSize,
    microBatchSize,
    epochs,
    maxSteps,
    minutes,
    distillation,
    evaluations,
    device,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

async function resultOf(
  model: Checkpoint,
  network: Network,
  method: FinetuneMethod,
  lora: LoraConfig,
  training: TrainingReport,
): Promise<FinetunedCheckpoint> {
  const values = new Map<string, Float32Array>();
  for (const [group, { parameters }] of network.groups.entries()) {
    for (const [index, parameter] of parameters.entries())
      values.set(network.names[group]![index]!, parameter.values.slice());
  }
  const base = { base: model.name, baseDigest: await model.digest() };
  if (method === "prompt") {
    const data = values.get("prompt_embeddings")!;
    const size = model.config.hidden_size;
    const tensors = new Map([["prompt_embeddings", { shape: [data.length / size, size], data }]]);
    return { ...model, adapter: { type: "PROMPT_TUNING", ...base, tensors }, training };
  }
  if (method === "lora") {
    const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
    for (const [name, data] of values)
      tensors.set(name, {
        shape: name.includes("lora_A") ? [lora.r, data.length / lora.r] : [data.length / lora.r, lora.r],
        data,
      });
    const adapter: Adapter = { type: "LORA", ...base, lora, tensors };
    return { ...(await applyAdapter(model, adapter)), adapter, training };
  }
  return { ...overlay(model, values, `${model.name}-${method}`), training };
}

/** The checkpoint with some tensors replaced; norms are given as what they multiply by. */
export function overlay(model: Checkpoint, values: ReadonlyMap<string, Float32Array>, name: string): Checkpoint {
  const replaced = new Map<string, Uint16Array>();
  for (const [tensor, own] of values) {
    const offset = weightOffset(model.config, tensor);
    replaced.set(tensor, float32ToBf16(offset === 0 ? own : own.map((value) => value - offset)));
  }
  let digest: Promise<string> | undefined;
  const hash = async () => {
    const sum = createHash("sha256").update(await model.digest());
    for (const [tensor, data] of replaced) sum.update(`\0${tensor}\0`).update(data);
    return sum.digest("hex");
  };
  const { readFloat32: _, ...rest } = model;
  return {
    ...rest,
    name,
    read: async (wanted) => {
      const data = replaced.get(wanted);
      return data ? { ...model.tensors.get(wanted)!, data } : model.read(wanted);
    },
    digest: () => (digest ??= hash()),
  };
}

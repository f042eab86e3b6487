/** Adapters as PEFT writes them: `adapter_config.json` and `adapter_model.safetensors`, for LoRA and prompt tuning. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import { throwIfInterrupted } from "../base/interrupted.ts";
import { readJsonObject } from "../base/json.ts";
import { type Checkpoint, readValues } from "../checkpoint/checkpoint.ts";
import { float32ToBf16 } from "../checkpoint/half.ts";
import { promptName } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { type LoraConfig, loraNames } from "./block.ts";
import { type FileTensor, readTensorFile, writeTensorFile } from "./tensor-file.ts";

/** Matrices by the layer's name in the checkpoint, `model.layers.0.self_attn.q_proj`. */
export interface LoraAdapter {
  readonly type: "LORA";
  readonly base: string;
  /** Digest of the model that it was trained on; unknown where another program wrote the adapter. */
  readonly baseDigest?: string;
  readonly lora: LoraConfig;
  /** By names such as `model.layers.0.self_attn.q_proj.lora_A.weight`: A `[r, in]`, B `[out, r]`. */
  readonly tensors: ReadonlyMap<string, FileTensor>;
}

/** Virtual tokens before BOS, in the embedding's scaled space. */
export interface PromptAdapter {
  readonly type: "PROMPT_TUNING";
  readonly base: string;
  readonly baseDigest?: string;
  /** `prompt_embeddings`, `[count, hidden]`. */
  readonly tensors: ReadonlyMap<string, FileTensor>;
}

export type Adapter = LoraAdapter | PromptAdapter;

const configFile = "adapter_config.json";
const weightsFile = "adapter_model.safetensors";
const loraPrefix = "base_model.model.";

/**
 * Writes an adapter for Python's peft, which loads it by `PeftModel.from_pretrained(base, folder)`. peft knows no masks: an adapter that was
 * trained under one is written all the same, with the mask's use in the weights file, and is right in peft only once merged.
 *
 * @throws PrunelabError when the folder cannot be written.
 */
export async function writeAdapter(adapter: Adapter, folder: string): Promise<void> {
  const common = {
    base_model_name_or_path: adapter.base,
    inference_mode: true,
    peft_type: adapter.type,
    revision: null,
    task_type: "CAUSAL_LM",
  };
  const tensors = new Map<string, FileTensor>();
  for (const [name, tensor] of adapter.tensors) tensors.set(adapter.type === "LORA" ? loraPrefix + name : name, tensor);
  const [count = 0, size = 0] = adapter.tensors.get(promptName)?.shape ?? [];
  const own =
    adapter.type === "LORA"
      ? {
          ...withoutMask(adapter.lora),
          bias: "none",
          fan_in_fan_out: false,
          init_lora_weights: true,
          modules_to_save: null,
          use_dora: false,
          use_rslora: false,
        }
      : {
          num_virtual_tokens: count,
          token_dim: size,
          num_transformer_submodules: 1,
          prompt_tuning_init: "RANDOM",
          prompt_tuning_init_text: null,
          tokenizer_name_or_path: null,
        };
  const masked = adapter.type === "LORA" && adapter.lora.masked;
  const note = { ...(adapter.baseDigest && { baseDigest: adapter.baseDigest }), masked };
  await writeTensorFile(join(folder, weightsFile), tensors);
  await writeFileAtomic(join(folder, "prunelab_adapter.json"), `${JSON.stringify(note, null, 2)}\n`);
  await writeFileAtomic(join(folder, configFile), `${JSON.stringify({ ...common, ...own }, null, 2)}\n`);
}

function withoutMask({ masked: _, target_modules, ...rest }: LoraConfig) {
  return { ...rest, target_modules: [...target_modules] };
}

/**
 * Reads an adapter that this package or Python's peft wrote: LoRA without bias, DoRA or rank-stabilised scale, or prompt tuning.
 *
 * @throws PrunelabError when files are missing or damaged, or the adapter is of a kind that we do not compute.
 */
export async function readAdapter(folder: string): Promise<Adapter> {
  const config = await readJsonObject(join(folder, configFile));
  const { tensors: stored } = await readTensorFile(join(folder, weightsFile));
  const note = await readJsonObject(join(folder, "prunelab_adapter.json")).catch(() => ({}) as Record<string, unknown>);
  const base = String(config.base_model_name_or_path ?? "");
  const common = { base, ...(typeof note.baseDigest === "string" && { baseDigest: note.baseDigest }) };
  if (config.peft_type === "PROMPT_TUNING") {
    if (!stored.has(promptName)) throw new PrunelabError(`adapter has no prompt_embeddings: ${folder}; write it again`);
    return { type: "PROMPT_TUNING", ...common, tensors: stored };
  }
  const odd = ["use_dora", "use_rslora", "fan_in_fan_out"].find((name) => config[name] === true);
  const patterns = ["rank_pattern", "alpha_pattern"].find(
    (name) => Object.keys((config[name] as object) ?? {}).length > 0,
  );
  if (config.peft_type !== "LORA" || odd || patterns || (config.bias ?? "none") !== "none") {
    throw new PrunelabError(
      `adapter of another kind: ${folder}: ${odd ?? patterns ?? String(config.peft_type)}; give plain LoRA or prompt tuning`,
    );
  }
  const r = Number(config.r);
  const tensors = new Map([...stored].map(([name, tensor]) => [name.replace(loraPrefix, ""), tensor]));
  const lora: LoraConfig = {
    r,
    lora_alpha: Number(config.lora_alpha),
    lora_dropout: Number(config.lora_dropout ?? 0),
    target_modules: [config.target_modules ?? []].flat().map(String),
    masked: note.masked === true,
  };
  return { type: "LORA", ...common, lora, tensors };
}

export interface ApplyOptions {
  /** Whether an adapter of another base is taken too, if its shapes fit; false unless given. */
  readonly anyBase?: boolean;
}

/**
 * The model as the adapter changes it. LoRA: linear layers are W + (alpha / r) B·A, under the mask if it was trained there, in float32 to score
 * with, as peft computes it apart from W; written, they are rounded to bfloat16. A prompt: its virtual tokens stand before every text that is scored
 * or continued; such a model cannot be written as a checkpoint, which has no place for them.
 *
 * @throws PrunelabError when the adapter is for other shapes or another base.
 */
export async function applyAdapter(
  model: Checkpoint,
  adapter: Adapter | string,
  options: ApplyOptions = {},
): Promise<Checkpoint> {
  const own = await adapterFor(model, adapter, options);
  return own.type === "LORA" ? addLora(model, own, undefined) : addPrompt(model, own);
}

/** A checkpoint with an adapter merged in. */
export interface MergedCheckpoint extends Checkpoint {
  /** Weights that were zero in the adapted layers, and how many of them no longer are. */
  readonly zeros: { readonly before: number; readonly lost: number };
}

/**
 * Merges LoRA into bfloat16 weights. Plain LoRA gives almost every zero of the layers that it adapts a value; with `keepZeros` they stay zero, and
 * the model is another than with the adapter apart, unless it was trained under the mask.
 *
 * @throws PrunelabError as {@link applyAdapter} does, and when the adapter is a prompt.
 */
export async function mergeAdapter(
  model: Checkpoint,
  adapter: Adapter | string,
  { keepZeros = false, ...options }: ApplyOptions & { readonly keepZeros?: boolean } = {},
): Promise<MergedCheckpoint> {
  const own = await adapterFor(model, adapter, options);
  if (own.type !== "LORA") {
    throw new PrunelabError(
      "a prompt is not part of the weights: it cannot be merged; put it before texts with applyAdapter or prunelab evaluate --adapter",
    );
  }
  const merged = addLora(model, own, keepZeros);
  const { readFloat32: _, ...checkpoint } = merged;
  let [before, lost] = [0, 0];
  for (const layer of merged.layers) {
    const dense = (await model.read(layer)).data;
    const { data } = await merged.read(layer);
    for (let i = 0; i < data.length; i++) {
      if ((dense[i]! & 0x7fff) !== 0) continue;
      before++;
      if ((data[i]! & 0x7fff) !== 0) lost++;
    }
  }
  return { ...checkpoint, name: `${model.name}-merged`, zeros: { before, lost } };
}

/** Reads the adapter where its folder is given, and checks its base. */
async function adapterFor(
  model: Checkpoint,
  given: Adapter | string,
  { anyBase = false }: ApplyOptions,
): Promise<Adapter> {
  const adapter = typeof given === "string" ? await readAdapter(given) : given;
  if (!anyBase && adapter.baseDigest !== undefined && adapter.baseDigest !== (await model.digest())) {
    throw new PrunelabError(
      `adapter of another base: it was trained on ${adapter.base}, this is ${model.name} with other weights; open that one`,
    );
  }
  return adapter;
}

function addPrompt(model: Checkpoint, { tensors }: PromptAdapter): Checkpoint {
  const { data, shape } = tensors.get(promptName)!;
  const { hidden_size: size, max_position_embeddings: longest, num_virtual_tokens: before } = model.config;
  const [count = 0] = shape;
  if (shape.length !== 2 || shape[1] !== size || count === 0 || count >= longest || !(data instanceof Float32Array)) {
    throw new PrunelabError(
      `adapter for other shapes: ${promptName} is ${shape.join(" × ")}; ${model.name} takes virtual tokens of ${size}, fewer than ${longest}`,
    );
  }
  if (before !== undefined)
    throw new PrunelabError(`the model has a prompt already: ${model.name}; give it one prompt`);
  let digest: Promise<string> | undefined;
  const hash = async () =>
    createHash("sha256")
      .update(await model.digest())
      .update(`\0${promptName}\0`)
      .update(data)
      .digest("hex");
  return {
    ...model,
    name: `${model.name}-prompt`,
    config: { ...model.config, num_virtual_tokens: count },
    readFloat32: async (name) => (name === promptName ? data : readValues(model, name)),
    digest: () => (digest ??= hash()),
  };
}

/** `keepZeros`: the adapter's own way unless given. */
function addLora(model: Checkpoint, adapter: LoraAdapter, keepZeros: boolean | undefined) {
  const { lora, tensors } = adapter;
  const layers: string[] = [];
  const known = new Set<string>();
  for (const { name, shape } of model.tensors.values()) {
    const { a, b } = loraNames(name.replace(/\.weight$/, ""));
    const [left, right] = [tensors.get(a), tensors.get(b)];
    if (!left || !right) continue;
    const fits =
      left.shape[0] === lora.r &&
      left.shape[1] === shape[1] &&
      right.shape[0] === shape[0] &&
      right.shape[1] === lora.r;
    if (!fits) {
      throw new PrunelabError(
        `adapter for other shapes: ${name} is ${shape.join(" × ")}, B·A is ${right.shape[0]} × ${right.shape[1]} · ${left.shape.join(" × ")}; open its base`,
      );
    }
    layers.push(name);
    known.add(a).add(b);
  }
  const stray = [...tensors.keys()].find((name) => !known.has(name));
  if (stray !== undefined || layers.length === 0) {
    throw new PrunelabError(`adapter for another model: ${stray ?? "it is empty"}; ${model.name} has no such layer`);
  }
  const readFloat32 = async (name: string) => {
    const values = await readValues(model, name);
    if (!layers.includes(name)) return values;
    const { a, b } = loraNames(name.replace(/\.weight$/, ""));
    addUpdate(values, tensors.get(a)!, tensors.get(b)!, lora, keepZeros || lora.masked);
    return values;
  };
  const hash = async () => {
    const sum = createHash("sha256")
      .update(await model.digest())
      .update(JSON.stringify([lora, keepZeros ?? null]));
    for (const [name, { data }] of tensors) sum.update(`\0${name}\0`).update(data);
    return sum.digest("hex");
  };
  let digest: Promise<string> | undefined;
  return {
    ...model,
    layers,
    name: `${model.name}-lora`,
    readFloat32,
    read: async (name: string) =>
      layers.includes(name)
        ? { ...model.tensors.get(name)!, data: float32ToBf16(await readFloat32(name)) }
        : model.read(name),
    digest: () => (digest ??= hash()),
  };
}

function addUpdate(
  values: Float32Array,
  a: FileTensor,
  b: FileTensor,
  { r, lora_alpha }: LoraConfig,
  keepZeros: boolean,
): void {
  const [left, right] = [b.data as Float32Array, a.data as Float32Array];
  const [out, columns] = [b.shape[0]!, a.shape[1]!];
  const scale = lora_alpha / r;
  const row = new Float64Array(columns);
  for (let i = 0; i < out; i++) {
    throwIfInterrupted();
    row.fill(0);
    for (let k = 0; k < r; k++) {
      const factor = scale * left[i * r + k]!;
      if (factor !== 0) for (let j = 0; j < columns; j++) row[j]! += factor * right[k * columns + j]!;
    }
    const at = i * columns;
    for (let j = 0; j < columns; j++) if (!keepZeros || values[at + j] !== 0) values[at + j]! += row[j]!;
  }
}

/** What a GGUF file says of a model beside its tensors: the keys by which llama.cpp builds the graph. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { familyOf } from "../checkpoint/families.ts";
import { configFromGguf } from "../checkpoint/gguf-config.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { llama3Slowing } from "../model/decoder.ts";
import type { GgufMetadata, GgufValue } from "./gguf-file.ts";

const u32 = (value: number): GgufValue => ({ type: "u32", value });
const f32 = (value: number): GgufValue => ({ type: "f32", value });
const text = (value: string): GgufValue => ({ type: "string", value });

/** Biases that llama.cpp's graph of an architecture adds; it does not load a file with others. */
const biases: Readonly<Record<string, RegExp>> = {
  llama: /\.(self_attn|mlp)\.\w+\.bias$/,
  qwen2: /\.self_attn\.[qkv]_proj\.bias$/,
};

/**
 * @param fileType llama.cpp's number (`enum llama_ftype`), for display.
 * @throws PrunelabError where llama.cpp would run another model than this one.
 */
export function modelMetadata(checkpoint: Checkpoint, fileType: number): GgufMetadata {
  const { config } = checkpoint;
  const architecture = familyOf(config).ggufArchitecture;
  const metadata: GgufMetadata = {
    "general.architecture": text(architecture),
    "general.type": text("model"),
    "general.name": text(checkpoint.name),
    ...originOf(checkpoint),
    "general.file_type": u32(fileType),
    "general.quantization_version": u32(2),
    ...prefixed(architecture, {
      context_length: u32(config.max_position_embeddings),
      embedding_length: u32(config.hidden_size),
      block_count: u32(config.num_hidden_layers),
      feed_forward_length: u32(config.intermediate_size),
      "attention.head_count": u32(config.num_attention_heads),
      "attention.head_count_kv": u32(config.num_key_value_heads),
      // llama.cpp's default is the hidden size by heads, which is wrong for Gemma and Qwen3.
      "attention.key_length": u32(config.head_dim),
      "attention.value_length": u32(config.head_dim),
      "attention.layer_norm_rms_epsilon": f32(config.rms_norm_eps),
      "rope.freq_base": f32(config.rope_theta),
      ...(config.rope_local_base_freq !== null && { "rope.freq_base_swa": f32(config.rope_local_base_freq) }),
      ...(config.rope_scaling?.rope_type === "linear" && {
        "rope.scaling.type": text("linear"),
        "rope.scaling.factor": f32(config.rope_scaling.factor),
      }),
      // Without it, newer versions see all keys in every layer, without a word.
      ...(config.sliding_window !== null && { "attention.sliding_window": u32(config.sliding_window) }),
      ...slidingPattern(config),
      ...(config.final_logit_softcapping !== null && { final_logit_softcapping: f32(config.final_logit_softcapping) }),
      ...(architecture === "llama" && {
        "rope.dimension_count": u32(config.head_dim),
        vocab_size: u32(config.vocab_size),
      }),
    }),
  };
  checkSame(checkpoint, metadata);
  return metadata;
}

function prefixed(architecture: string, keys: GgufMetadata): GgufMetadata {
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value]));
}

/** What the file that a model came from says of licence and origin. */
function originOf({ gguf }: Checkpoint): GgufMetadata {
  const kept: Record<string, GgufValue> = {};
  const metadata = gguf?.metadata ?? {};
  for (const key of Object.keys(metadata)) {
    if (!/^general\.(license|base_model|tags|languages|basename|finetune|size_label|organization)\b/.test(key))
      continue;
    const value = metadata[key];
    if (typeof value === "string") kept[key] = text(value);
    else if (typeof value === "number") kept[key] = u32(value);
    else if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")) {
      kept[key] = { type: "strings", value };
    }
  }
  return kept;
}

/** Gemma's layers with a window; every sixth has none unless it is said. */
function slidingPattern({ layer_types, sliding_window }: ModelConfig): GgufMetadata {
  if (sliding_window === null) return {};
  const isSliding = layer_types.map((type) => type === "sliding_attention");
  const hasPeriod = (period: number) => isSliding.every((sliding, layer) => sliding === ((layer + 1) % period !== 0));
  if (hasPeriod(6)) return {};
  const key = "attention.sliding_window_pattern";
  const period = layer_types.indexOf("full_attention") + 1;
  return { [key]: period > 0 && hasPeriod(period) ? u32(period) : { type: "bools", value: isSliding } };
}

/** Llama 3.1's scaling as what RoPE's frequencies are divided by: the tensor `rope_freqs.weight`. */
export function ropeFactors({ rope_scaling: scaling, rope_theta, head_dim }: ModelConfig): Float32Array | undefined {
  if (scaling?.rope_type !== "llama3") return undefined;
  return Float32Array.from(
    { length: head_dim / 2 },
    (_, i) => 1 / llama3Slowing(scaling, 1 / rope_theta ** ((2 * i) / head_dim)),
  );
}

/** Reads the metadata as llama.cpp would take them, and refuses what would come out otherwise. */
function checkSame(checkpoint: Checkpoint, metadata: GgufMetadata): void {
  const { config, tensors } = checkpoint;
  const architecture = familyOf(config).ggufArchitecture;
  const refuse = (what: string) =>
    new PrunelabError(
      `no gguf of ${checkpoint.name}: llama.cpp's ${architecture} models have ${what}; choose a safetensors or onnx form`,
    );
  for (const name of tensors.keys()) {
    if (name.endsWith(".bias") && !biases[architecture]?.test(name)) throw refuse(`no bias such as ${name}`);
  }
  let read: ModelConfig;
  try {
    const factors = ropeFactors(config);
    read = configFromGguf(
      Object.fromEntries(Object.entries(metadata).map(([key, { value }]) => [key, value])),
      {
        vocabularySize: config.vocab_size,
        isTied: config.tie_word_embeddings,
        ...(factors && { ropeFactors: [...factors] }),
      },
      "gguf",
    );
  } catch (error) {
    throw refuse(`other numbers (${messageOf(error)})`);
  }
  for (const [key, value] of Object.entries(config) as [keyof ModelConfig, unknown][]) {
    // Biases are tensors, and ids of tokens are the tokenizer's.
    if (/_(token_id|bias)$/.test(key) || JSON.stringify(read[key]) === JSON.stringify(value)) continue;
    throw refuse(`${key} ${JSON.stringify(read[key])}, this one ${JSON.stringify(value)}`);
  }
}

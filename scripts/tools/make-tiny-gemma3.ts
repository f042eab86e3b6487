/**
 * Writes data/tiny-gemma3 from a seed: a Gemma 3 text model of some 80,000 weights, as a Hugging Face folder and as a
 * GGUF of mixed types that holds the same weights to the last bit. Usage: npx tsx scripts/tools/make-tiny-gemma3.ts [folder]
 */
import { join } from "node:path";
import { writeFileAtomic } from "../../src/base/atomic.ts";
import type { Checkpoint } from "../../src/checkpoint/checkpoint.ts";
import { parseConfig } from "../../src/checkpoint/config.ts";
import { ggmlTypes } from "../../src/checkpoint/dequantize.ts";
import { encodeGguf } from "../../src/checkpoint/gguf.test-helper.ts";
import { tokenizerFilesFromGguf } from "../../src/checkpoint/gguf-tokenizer.ts";
import { bf16ToFloat32, float16Table, float32ToBf16 } from "../../src/checkpoint/half.ts";
import { elementCount, type Tensor } from "../../src/checkpoint/tensor.ts";
import { modelTensors, weightOffset } from "../../src/checkpoint/tensor-names.ts";
import { writeCheckpoint } from "../../src/checkpoint/write.ts";

const folder = process.argv[2] ?? "data/tiny-gemma3";
const vocabularySize = 512;

// Seven layers: with one full attention layer in six, the sixth is one, and sliding layers stand on both sides of it.
const config = parseConfig(
  {
    model_type: "gemma3_text",
    vocab_size: vocabularySize,
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 7,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 16,
    query_pre_attn_scalar: 16,
    max_position_embeddings: 256,
    sliding_window: 8,
  },
  "tiny-gemma3",
);

/** mulberry32: numbers in [0, 1) from a 32-bit state. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = uniform(20_260_101);
/** Nearly normal, mean 0, deviation 1: the sum of twelve uniform numbers (sums and products only, equal everywhere). */
function normal(): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random();
  return sum;
}

const [f32, f16, q80, bf16] = [0, 1, 8, 30] as const;
/** GGUF's type of each kind of tensor; every other kind is float32, the norms among them, as llama.cpp demands. */
const types: readonly (readonly [RegExp, number])[] = [
  [/embed_tokens|gate_proj|up_proj/, q80],
  [/[qo]_proj/, f16],
  [/down_proj/, bf16],
];

const float16Bits = new Map<number, number>();
for (const [bits, value] of float16Table().entries()) float16Bits.set(value, bits);

/** Random weights in the bytes of a GGUF type, such that they are exact in bfloat16 wherever they are not in blocks. */
function weights(name: string, shape: readonly number[], type: number): Uint8Array {
  const count = elementCount(shape);
  const deviation =
    weightOffset(config, name) === 1 ? 0.2 : name.includes("embed") ? 0.4 : 1.2 / Math.sqrt(shape.at(-1)!);
  const values = Float32Array.from({ length: count }, () => deviation * normal());
  if (type === q80) return quantizeQ8(values);
  // Below 2^-14, float16 and 1 + w have not bits enough for every bfloat16: those few become 0.
  const rounded = bf16ToFloat32(float32ToBf16(values.map((x) => (Math.abs(x) < 2 ** -14 ? 0 : x))));
  if (type === f32)
    return new Uint8Array((weightOffset(config, name) === 1 ? rounded.map((x) => 1 + x) : rounded).buffer);
  if (type === bf16) return new Uint8Array(float32ToBf16(rounded).buffer);
  return new Uint8Array(Uint16Array.from(rounded, (x) => float16Bits.get(x)!).buffer);
}

/** Blocks of 32 signed bytes with a scale that is a power of two (any float16 would do; these are easy to find). */
function quantizeQ8(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / 32) * 34);
  const view = new DataView(bytes.buffer);
  for (let i = 0, at = 0; i < values.length; i += 32, at += 34) {
    const block = values.subarray(i, i + 32);
    const largest = block.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    const scale = 2 ** Math.ceil(Math.log2(largest / 127));
    view.setUint16(at, float16Bits.get(scale)!, true);
    for (const [j, x] of block.entries()) view.setInt8(at + 2 + j, Math.round(x / scale));
  }
  return bytes;
}

/** Gemma's manner: special tokens, user-defined white space, one token per byte, characters, and pieces of words. */
function vocabulary(): { tokens: string[]; types: number[]; scores: number[] } {
  const special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"];
  const spaces = ["\n", "\n\n", "  ", "   "];
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const characters = ["▁", ..."etaoinshrdlcumwfgypbvkjxqzETAOINSHRDLCUMWFGYPBVKJXQZ0123456789.,;:!?'\"()-éüñ–…"];
  const words =
    "the of and to in is that it was for on are with as this be at or from by not have an they which one you we can her " +
    "his all there been if more when will would who so no what model weight prune score layer language benchmark " +
    "magnitude attention sentence question answer number network sparse";
  const pieces = new Set<string>();
  for (const word of words.split(" ")) {
    for (let end = 2; end <= word.length + 1; end++) pieces.add(`▁${word}`.slice(0, end));
  }
  const before = special.length + spaces.length + bytes.length + characters.length;
  // Shorter pieces first, since each is made of the one before it and one character.
  const chosen = [...pieces].sort((a, b) => a.length - b.length).slice(0, vocabularySize - before);
  const tokens = [...special, ...spaces, ...bytes, ...chosen, ...characters];
  if (new Set(tokens).size !== vocabularySize) throw new Error(`vocabulary has ${new Set(tokens).size} tokens`);
  const kinds = [special.map(() => 3), spaces.map(() => 4), bytes.map(() => 6), chosen.concat(characters).map(() => 1)];
  const firstPiece = special.length + spaces.length + bytes.length;
  return {
    tokens,
    types: kinds.flat(),
    scores: tokens.map((_, id) => (id < firstPiece ? (id < 10 ? -1000 : 0) : firstPiece - id)),
  };
}

const { tokens, types: tokenTypes, scores } = vocabulary();
const metadata = {
  "general.architecture": "gemma3",
  "general.name": "tiny-gemma3",
  "gemma3.context_length": config.max_position_embeddings,
  "gemma3.embedding_length": config.hidden_size,
  "gemma3.block_count": config.num_hidden_layers,
  "gemma3.feed_forward_length": config.intermediate_size,
  "gemma3.attention.head_count": config.num_attention_heads,
  "gemma3.attention.head_count_kv": config.num_key_value_heads,
  "gemma3.attention.key_length": config.head_dim,
  "gemma3.attention.value_length": config.head_dim,
  "gemma3.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
  "gemma3.attention.sliding_window": config.sliding_window,
  "gemma3.rope.freq_base": config.rope_theta,
  "tokenizer.ggml.model": "llama",
  "tokenizer.ggml.tokens": tokens,
  "tokenizer.ggml.scores": scores,
  "tokenizer.ggml.token_type": tokenTypes,
  "tokenizer.ggml.bos_token_id": 2,
  "tokenizer.ggml.eos_token_id": 1,
  "tokenizer.ggml.unknown_token_id": 3,
  "tokenizer.ggml.padding_token_id": 0,
  "tokenizer.ggml.add_bos_token": true,
  "tokenizer.ggml.add_space_prefix": false,
};

const stored = modelTensors(config).map(({ name, ggufName, shape }) => {
  const type = types.find(([pattern]) => pattern.test(name))?.[1] ?? f32;
  return { name, ggufName, shape, type, bytes: weights(name, shape, type) };
});
const tensors = new Map<string, Tensor>();
for (const { name, shape, type, bytes } of stored) {
  const values = new Float32Array(elementCount(shape));
  ggmlTypes.get(type)!.dequantize(bytes, values);
  if (weightOffset(config, name) === 1) for (let i = 0; i < values.length; i++) values[i]! -= 1;
  tensors.set(name, { name, shape, data: float32ToBf16(values) });
}
const checkpoint: Checkpoint = {
  name: "tiny-gemma3",
  config,
  tensors,
  read: async (name) => tensors.get(name)!,
  digest: async () => "",
  tokenizer: async () => tokenizerFilesFromGguf(metadata),
  generationConfig: async () => ({ bos_token_id: 2, eos_token_id: 1, pad_token_id: 0 }),
};
await writeCheckpoint(checkpoint, folder);
await writeFileAtomic(
  join(folder, "model.gguf"),
  encodeGguf(
    metadata,
    stored.map(({ ggufName: name, shape, type, bytes }) => ({ name, shape, type, bytes })),
  ),
);

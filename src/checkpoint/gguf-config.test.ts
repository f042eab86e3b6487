import assert from "node:assert/strict";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { parseConfig } from "./config.ts";
import { configFromGguf } from "./gguf-config.ts";

/** The 270M model's, as llama.cpp's converter writes them. */
const metadata: Readonly<Record<string, unknown>> = {
  "general.architecture": "gemma3",
  "gemma3.context_length": 32_768,
  "gemma3.embedding_length": 640,
  "gemma3.block_count": 18,
  "gemma3.feed_forward_length": 2048,
  "gemma3.attention.head_count": 4,
  "gemma3.attention.head_count_kv": 1,
  "gemma3.attention.layer_norm_rms_epsilon": Math.fround(1e-6),
  "gemma3.attention.key_length": 256,
  "gemma3.attention.value_length": 256,
  "gemma3.rope.freq_base": 1_000_000,
  "gemma3.attention.sliding_window": 512,
  "tokenizer.ggml.bos_token_id": 2,
  "tokenizer.ggml.eos_token_id": 1,
  "tokenizer.ggml.padding_token_id": 0,
};
const read = (changes: Record<string, unknown> = {}) =>
  configFromGguf({ ...metadata, ...changes }, { vocabularySize: 262_144, isTied: true }, "x");

test("gives the published config", () => {
  const expected = parseConfig(
    {
      model_type: "gemma3_text",
      head_dim: 256,
      hidden_size: 640,
      intermediate_size: 2048,
      max_position_embeddings: 32_768,
      num_attention_heads: 4,
      num_hidden_layers: 18,
      num_key_value_heads: 1,
      sliding_window: 512,
      vocab_size: 262_144,
    },
    "x",
  );
  assert.deepEqual(read(), expected);
  assert.deepEqual(read({ "gemma3.block_count": 18n, "tokenizer.ggml.bos_token_id": 2n }), expected);
});

test("reads scaled RoPE, patterns, other heads, the end of a turn", () => {
  const scaled = read({ "gemma3.rope.scaling.type": "linear", "gemma3.rope.scaling.factor": 8 });
  assert.deepEqual(scaled.rope_scaling, { rope_type: "linear", factor: 8 });
  assert.equal(read({ "gemma3.rope.freq_base_swa": 20_000 }).rope_local_base_freq, 20_000);
  assert.equal(read({ "gemma3.attention.sliding_window_pattern": 3 }).layer_types[2], "full_attention");
  const booleans = Array.from({ length: 18 }, (_, i) => i !== 4);
  assert.equal(read({ "gemma3.attention.sliding_window_pattern": booleans }).layer_types.indexOf("full_attention"), 4);
  assert.deepEqual(read({ "tokenizer.ggml.eot_token_id": 106 }).eos_token_id, [1, 106]);
  // The 27B model scales by its hidden size over its heads, the others by the head's size.
  const changes = { "gemma3.block_count": 62, "gemma3.embedding_length": 5376, "gemma3.attention.head_count": 32 };
  assert.equal(read(changes).query_pre_attn_scalar, 168);
});

test("refuses another architecture, a missing value, a wrong one", () => {
  const refused = (changes: Record<string, unknown>, pattern: RegExp) =>
    assert.throws(
      () => read(changes),
      (error: unknown) => error instanceof PrunelabError && pattern.test(error.message),
    );
  refused({ "general.architecture": "gpt2" }, /unsupported architecture: x: "gpt2"/);
  refused({ "general.architecture": undefined }, /unsupported architecture: x: "undefined"/);
  refused({ "gemma3.block_count": undefined }, /missing gguf metadata: x: gemma3\.block_count; convert it again/);
  refused({ "gemma3.block_count": "many" }, /invalid num_hidden_layers: x: "many"/);
  refused({ "gemma3.attention.head_count": [4n, 4n] }, /invalid num_attention_heads: x: \[4,4\]/);
  refused({ "gemma3.rope.scaling.type": "yarn" }, /unsupported rope_type/);
});

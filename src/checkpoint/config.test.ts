import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PrunelabError } from "../errors.ts";
import { configJson, parseConfig } from "./config.ts";

/** The fields of the published 270M model's config.json that say anything. */
const published = {
  architectures: ["Gemma3ForCausalLM"],
  attention_bias: false,
  attn_logit_softcapping: null,
  bos_token_id: 2,
  eos_token_id: 1,
  final_logit_softcapping: null,
  head_dim: 256,
  hidden_activation: "gelu_pytorch_tanh",
  hidden_size: 640,
  intermediate_size: 2048,
  max_position_embeddings: 32_768,
  model_type: "gemma3_text",
  num_attention_heads: 4,
  num_hidden_layers: 18,
  num_key_value_heads: 1,
  pad_token_id: 0,
  query_pre_attn_scalar: 256,
  rms_norm_eps: 1e-6,
  rope_local_base_freq: 10_000,
  rope_scaling: null,
  rope_theta: 1_000_000,
  sliding_window: 512,
  use_bidirectional_attention: false,
  vocab_size: 262_144,
};

const parse = (changes: Record<string, unknown> = {}) => parseConfig({ ...published, ...changes }, "config.json");

function assertRefused(changes: Record<string, unknown>, pattern: RegExp): void {
  assert.throws(
    () => parse(changes),
    (error: unknown) => error instanceof PrunelabError && pattern.test(error.message),
    `${JSON.stringify(changes)} should fail with ${pattern}`,
  );
}

test("reads the published fields, and makes the layer types from the pattern", () => {
  const config = parse();
  assert.equal(config.hidden_size, 640);
  assert.equal(config.rms_norm_eps, 1e-6);
  assert.equal(config.rope_scaling, null);
  assert.equal(config.tie_word_embeddings, true);
  assert.deepEqual(
    config.layer_types.flatMap((type, i) => (type === "full_attention" ? [i] : [])),
    [5, 11, 17],
  );
  for (const key of ["sliding_window_pattern", "_sliding_window_pattern"]) {
    assert.deepEqual(parse({ num_hidden_layers: 3, [key]: 2 }).layer_types, [
      "sliding_attention",
      "full_attention",
      "sliding_attention",
    ]);
  }
  const types = ["full_attention", "sliding_attention"];
  assert.deepEqual(parse({ num_hidden_layers: 2, layer_types: types, sliding_window_pattern: 1 }).layer_types, types);
});

test("reads RoPE as older and as newer transformers write it", () => {
  const older = parse({ rope_theta: 5e5, rope_local_base_freq: 2e4, rope_scaling: { factor: 8, rope_type: "linear" } });
  const { rope_theta: _, rope_local_base_freq: __, rope_scaling: ___, ...rest } = published;
  const newer = parseConfig(
    {
      ...rest,
      rope_parameters: {
        full_attention: { rope_type: "linear", factor: 8, rope_theta: 5e5 },
        sliding_attention: { rope_type: "default", rope_theta: 2e4 },
      },
    },
    "x",
  );
  assert.deepEqual(newer, older);
  assert.deepEqual([newer.rope_theta, newer.rope_local_base_freq, newer.rope_scaling?.factor], [5e5, 2e4, 8]);
  assert.deepEqual(parseConfig(rest, "x"), parse());
});

test("takes the text model out of a multimodal config, with transformers' defaults for what it leaves out", () => {
  // The published 4B model's.
  const config = parseConfig(
    {
      model_type: "gemma3",
      eos_token_id: [1, 106],
      text_config: {
        model_type: "gemma3_text",
        hidden_size: 2560,
        intermediate_size: 10_240,
        num_hidden_layers: 34,
        rope_scaling: { factor: 8.0, rope_type: "linear" },
        sliding_window: 1024,
      },
      vision_config: { hidden_size: 1152 },
    },
    "x",
  );
  assert.deepEqual(
    [config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.vocab_size],
    [2560, 8, 4, 262_208],
  );
  assert.deepEqual([config.model_type, config.eos_token_id, config.rope_scaling?.factor], ["gemma3_text", [1, 106], 8]);
});

test("writing is the inverse of reading", () => {
  for (const changes of [{}, { rope_scaling: { factor: 4, rope_type: "linear" } }, { eos_token_id: [1, 106] }]) {
    const config = parse(changes);
    const json = JSON.parse(JSON.stringify(configJson(config)));
    assert.deepEqual(parseConfig(json, "x"), config);
    assert.deepEqual(json.architectures, ["Gemma3ForCausalLM"]);
  }
});

test("refuses other architectures and what Gemma 3 does not do", () => {
  assertRefused(
    { model_type: "gpt2" },
    /^unsupported architecture: config\.json: "gpt2"; Prunelab works on Gemma 3, Llama/,
  );
  assertRefused({ model_type: undefined }, /unsupported architecture/);
  assertRefused({ model_type: "gemma3", text_config: undefined }, /unsupported architecture/);
  assertRefused({ hidden_activation: "silu" }, /unsupported hidden_activation: config\.json: "silu"/);
  // EmbeddingGemma calls itself gemma3_text as well.
  assertRefused({ use_bidirectional_attention: true }, /unsupported use_bidirectional_attention/);
  assertRefused({ rope_scaling: { rope_type: "yarn", factor: 2 } }, /unsupported rope_type: config\.json: "yarn"/);
  assertRefused({ rope_parameters: { sliding_attention: { rope_type: "linear" } } }, /unsupported rope_type/);
});

test("reads each family's own switches, and refuses what its models do not do", () => {
  const llama = (changes: Record<string, unknown>) => parseConfig({ model_type: "llama", ...changes }, "x");
  const { head_dim, num_key_value_heads, tie_word_embeddings, sliding_window, bos_token_id } = llama({});
  assert.deepEqual(
    [head_dim, num_key_value_heads, tie_word_embeddings, sliding_window, bos_token_id],
    [128, 32, false, null, 1],
  );
  const scaling = { rope_type: "llama3", factor: 32, low_freq_factor: 1, high_freq_factor: 4 };
  const expected = { ...scaling, original_max_position_embeddings: 8192 };
  const length = { original_max_position_embeddings: 8192 };
  for (const fields of [
    { rope_theta: 5e5, rope_scaling: { ...scaling, ...length } },
    { rope_parameters: { ...scaling, ...length, rope_theta: 5e5 } },
    { rope_theta: 5e5, max_position_embeddings: 8192, rope_scaling: scaling },
  ]) {
    assert.deepEqual([llama(fields).rope_theta, llama(fields).rope_scaling], [5e5, expected]);
  }
  const qwen = (changes: Record<string, unknown>) =>
    parseConfig({ model_type: "qwen3", num_hidden_layers: 2, ...changes }, "x");
  assert.deepEqual([qwen({}).head_dim, qwen({}).bos_token_id, qwen({}).eos_token_id], [128, null, null]);
  assert.deepEqual(qwen({ use_sliding_window: true, max_window_layers: 1 }).layer_types, [
    "full_attention",
    "sliding_attention",
  ]);
  assert.deepEqual(qwen({ sliding_window: 16, max_window_layers: 1 }).sliding_window, null);
  assert.throws(
    () => llama({ hidden_act: "gelu" }),
    /^PrunelabError: unsupported hidden_act: x: "gelu"; Prunelab knows "silu"/,
  );
  assert.throws(() => llama({ hidden_size: 100, num_attention_heads: 3 }), /invalid head_dim: x: 33\.3/);
  assert.throws(() => llama({ rope_scaling: { ...scaling, factor: "x" } }), /invalid rope_scaling\.factor: x: "x"/);
  for (const json of [
    llama({ attention_bias: true }),
    qwen({}),
    parse({ tie_word_embeddings: false, final_logit_softcapping: 30 }),
  ]) {
    assert.deepEqual(parseConfig(configJson(json), "x"), json);
  }
});

test("refuses values that cannot be", () => {
  assertRefused({ hidden_size: 0 }, /^invalid hidden_size: config\.json: 0; needs a whole number from 1 to 16777216$/);
  assertRefused({ hidden_size: "640" }, /invalid hidden_size: config\.json: "640"/);
  assertRefused({ hidden_size: 1e12 }, /invalid hidden_size/);
  assertRefused({ num_hidden_layers: 1e6 }, /invalid num_hidden_layers/);
  assertRefused({ num_hidden_layers: 2.5 }, /invalid num_hidden_layers/);
  assertRefused({ num_key_value_heads: 3 }, /invalid num_key_value_heads: config\.json: 3; needs a divisor of the 4/);
  assertRefused({ head_dim: 7 }, /invalid head_dim: config\.json: 7; needs an even number/);
  assertRefused({ rms_norm_eps: -1 }, /invalid rms_norm_eps/);
  assertRefused({ rope_scaling: { rope_type: "linear" } }, /invalid rope_scaling\.factor: config\.json: undefined/);
  assertRefused({ eos_token_id: [] }, /invalid eos_token_id/);
  assertRefused({ eos_token_id: [1, "x"] }, /invalid eos_token_id: config\.json: "x"; needs a token id/);
  assertRefused({ layer_types: ["full_attention"] }, /invalid layer_types: .*; needs 18 of/);
  assertRefused({ layer_types: Array(18).fill("linear_attention") }, /invalid layer_types/);
  assertRefused({ sliding_window_pattern: 0 }, /invalid sliding_window_pattern: config\.json: 0/);
});

test("any object works or gives a PrunelabError", () => {
  const keys = [...Object.keys(published), "layer_types", "rope_parameters", "text_config", "sliding_window_pattern"];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...keys), fc.jsonValue(), { maxKeys: 3 }), (changes) => {
      try {
        assert.equal(parse(changes).layer_types.length, parse(changes).num_hidden_layers);
      } catch (error) {
        if (!(error instanceof PrunelabError)) throw error;
      }
    }),
  );
});

/** A checkpoint in memory with tensors made for the test, and the bfloat16 numbers to write them in. */
import { createHash } from "node:crypto";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Tensor } from "../checkpoint/tensor.ts";

export const config: Checkpoint["config"] = {
  model_type: "gemma3_text",
  vocab_size: 8,
  hidden_size: 4,
  intermediate_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 1,
  num_key_value_heads: 1,
  head_dim: 4,
  query_pre_attn_scalar: 4,
  rms_norm_eps: 1e-6,
  max_position_embeddings: 32,
  layer_types: ["sliding_attention", "full_attention"],
  sliding_window: 4,
  rope_theta: 1e6,
  rope_local_base_freq: 1e4,
  rope_scaling: null,
  attention_bias: false,
  mlp_bias: false,
  final_logit_softcapping: null,
  bos_token_id: 2,
  eos_token_id: 1,
  pad_token_id: 0,
  tie_word_embeddings: true,
};

export function memoryCheckpoint(...tensors: Tensor[]): Checkpoint {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return {
    name: "test/memory",
    config,
    tensors: byName,
    read: async (name) => byName.get(name)!,
    digest: async () => {
      const hash = createHash("sha256");
      for (const { name, data } of tensors) hash.update(name).update(data);
      return hash.digest("hex");
    },
    tokenizer: async () => ({ tokenizer: {}, tokenizerConfig: {} }),
    generationConfig: async () => ({}),
  };
}

/** A linear layer `[rows, columns]` of block 0 by default. */
export function linear(bits: ArrayLike<number>, columns: number, name = "mlp.down_proj", layer = 0): Tensor {
  const data = Uint16Array.from(bits);
  return { name: `model.layers.${layer}.${name}.weight`, shape: [data.length / columns, columns], data };
}

/** Bits of numbers that bfloat16 holds exactly. */
export function bfloat16(...values: number[]): Uint16Array {
  return Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), (bits) => bits >>> 16);
}

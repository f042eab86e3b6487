/** Gemma 3's tensors: their names in Hugging Face and GGUF files, and the shapes that a config demands. */
import type { Gemma3Config } from "./config.ts";
import type { TensorInfo } from "./tensor.ts";

type ShapeOf = (config: Gemma3Config) => number[];

const hidden: ShapeOf = (c) => [c.hidden_size];
const head: ShapeOf = (c) => [c.head_dim];

/** The tensors of one block: Hugging Face's name, GGUF's name, shape. */
const blockTensors: readonly (readonly [name: string, ggufName: string, shape: ShapeOf])[] = [
  ["input_layernorm", "attn_norm", hidden],
  ["self_attn.q_proj", "attn_q", (c) => [c.num_attention_heads * c.head_dim, c.hidden_size]],
  ["self_attn.k_proj", "attn_k", (c) => [c.num_key_value_heads * c.head_dim, c.hidden_size]],
  ["self_attn.v_proj", "attn_v", (c) => [c.num_key_value_heads * c.head_dim, c.hidden_size]],
  ["self_attn.o_proj", "attn_output", (c) => [c.hidden_size, c.num_attention_heads * c.head_dim]],
  ["self_attn.q_norm", "attn_q_norm", head],
  ["self_attn.k_norm", "attn_k_norm", head],
  ["post_attention_layernorm", "post_attention_norm", hidden],
  ["pre_feedforward_layernorm", "ffn_norm", hidden],
  ["mlp.gate_proj", "ffn_gate", (c) => [c.intermediate_size, c.hidden_size]],
  ["mlp.up_proj", "ffn_up", (c) => [c.intermediate_size, c.hidden_size]],
  ["mlp.down_proj", "ffn_down", (c) => [c.hidden_size, c.intermediate_size]],
  ["post_feedforward_layernorm", "post_ffw_norm", hidden],
];

/** A tensor that a model of some config has. */
export interface Gemma3Tensor extends TensorInfo {
  readonly ggufName: string;
}

/** All tensors of a model, in the order of its layers; a tied head is none of them. */
export function gemma3Tensors(config: Gemma3Config): Gemma3Tensor[] {
  const tensors: Gemma3Tensor[] = [
    {
      name: "model.embed_tokens.weight",
      ggufName: "token_embd.weight",
      shape: [config.vocab_size, config.hidden_size],
    },
  ];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    for (const [name, ggufName, shape] of blockTensors) {
      tensors.push({
        name: `model.layers.${layer}.${name}.weight`,
        ggufName: `blk.${layer}.${ggufName}.weight`,
        shape: shape(config),
      });
    }
  }
  tensors.push({ name: "model.norm.weight", ggufName: "output_norm.weight", shape: [config.hidden_size] });
  return tensors;
}

/** The block that a tensor lies in, and its name there (`mlp.up_proj.weight`); undefined for a tensor outside the blocks. */
export function placeInBlock(name: string): { readonly layer: number; readonly name: string } | undefined {
  const [, layer, rest] = /^model\.layers\.(\d+)\.(.*)$/.exec(name) ?? [];
  return layer === undefined ? undefined : { layer: Number(layer), name: rest! };
}

/**
 * Whether a tensor holds the w of a norm that multiplies by 1 + w. Hugging Face's files store w, GGUF files 1 + w
 * (llama.cpp pull request 5631); leaving out the difference breaks the model without any error.
 */
export function isNorm(name: string): boolean {
  return name.endsWith("norm.weight");
}

/**
 * A tensor's name as a text model has it, where a multimodal Gemma 3 has put a prefix before it (`language_model.model.`
 * up to transformers 4.51, `model.language_model.` since); undefined for what is no part of the text model, and for
 * `lm_head.weight`, which is the embedding again.
 */
export function textTensorName(name: string): string | undefined {
  const own = name.replace(/^(?:language_model\.model|model\.language_model)\./, "model.");
  return /^model\.(?:embed_tokens|layers|norm)\./.test(own) ? own : undefined;
}

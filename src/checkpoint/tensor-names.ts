/** A decoder's tensors: their names in Hugging Face and GGUF files, and the shapes that a config demands. */
import type { ModelConfig } from "./config.ts";
import { familyOf } from "./families.ts";
import type { TensorInfo } from "./tensor.ts";

/** A tensor that a model of some config has. */
export interface ModelTensor extends TensorInfo {
  readonly ggufName: string;
}

export const embeddingName = "model.embed_tokens.weight";

/** PEFT's name of a prompt's virtual tokens, `[count, hidden]`, after the embedding's scale. */
export const promptName = "prompt_embeddings";

/** The tensor that gives the logits: the embedding again, if the two are tied. */
export function headName({ tie_word_embeddings }: Pick<ModelConfig, "tie_word_embeddings">): string {
  return tie_word_embeddings ? embeddingName : "lm_head.weight";
}

/** All tensors of a model, in the order of its layers; a tied head is none of them. */
export function modelTensors(config: ModelConfig): ModelTensor[] {
  const table: ModelTensor["shape"] = [config.vocab_size, config.hidden_size];
  const block = blockTensors(config);
  return [
    { name: embeddingName, ggufName: "token_embd.weight", shape: table },
    ...Array.from({ length: config.num_hidden_layers }, (_, layer) =>
      block.map(({ name, ggufName, shape }) => ({
        name: `model.layers.${layer}.${name}`,
        ggufName: `blk.${layer}.${ggufName}`,
        shape,
      })),
    ).flat(),
    { name: "model.norm.weight", ggufName: "output_norm.weight", shape: [config.hidden_size] },
    ...(config.tie_word_embeddings ? [] : [{ name: "lm_head.weight", ggufName: "output.weight", shape: table }]),
  ];
}

/** The tensors of one block, by their names within it (`mlp.up_proj.weight`). */
export function blockTensors(config: ModelConfig): ModelTensor[] {
  const { hidden_size: hidden, intermediate_size: inner, head_dim: headDim } = config;
  const queries = config.num_attention_heads * headDim;
  const keys = config.num_key_value_heads * headDim;
  const { norms, queryKeyNorm, biases = [] } = familyOf(config);
  const norm = (name: string | undefined, ggufName: string, size = hidden): ModelTensor[] =>
    name === undefined ? [] : [{ name: `${name}.weight`, ggufName: `${ggufName}.weight`, shape: [size] }];
  const linear = (name: string, ggufName: string, rows: number, columns: number): ModelTensor[] => {
    const hasBias = biases.includes(name) || (name.startsWith("mlp.") ? config.mlp_bias : config.attention_bias);
    const bias = { name: `${name}.bias`, ggufName: `${ggufName}.bias`, shape: [rows] };
    return [
      { name: `${name}.weight`, ggufName: `${ggufName}.weight`, shape: [rows, columns] },
      ...(hasBias ? [bias] : []),
    ];
  };
  const queryKey = (name: string, ggufName: string, size: number) =>
    queryKeyNorm ? norm(name, ggufName, queryKeyNorm === "head" ? headDim : size) : [];
  return [
    norm(norms.beforeAttention, "attn_norm"),
    linear("self_attn.q_proj", "attn_q", queries, hidden),
    linear("self_attn.k_proj", "attn_k", keys, hidden),
    linear("self_attn.v_proj", "attn_v", keys, hidden),
    linear("self_attn.o_proj", "attn_output", hidden, queries),
    queryKey("self_attn.q_norm", "attn_q_norm", queries),
    queryKey("self_attn.k_norm", "attn_k_norm", keys),
    norm(norms.afterAttention, "post_attention_norm"),
    norm(norms.beforeMlp, "ffn_norm"),
    linear("mlp.gate_proj", "ffn_gate", inner, hidden),
    linear("mlp.up_proj", "ffn_up", inner, hidden),
    linear("mlp.down_proj", "ffn_down", hidden, inner),
    norm(norms.afterMlp, "post_ffw_norm"),
  ].flat();
}

/** The block that a tensor lies in, and its name there (`mlp.up_proj.weight`); undefined for a tensor outside the blocks. */
export function placeInBlock(name: string): { readonly layer: number; readonly name: string } | undefined {
  const [, layer, rest] = /^model\.layers\.(\d+)\.(.*)$/.exec(name) ?? [];
  return layer === undefined ? undefined : { layer: Number(layer), name: rest! };
}

/**
 * What is added to a tensor of Hugging Face's files before it multiplies: 1 for Gemma's norms, whose files store w and whose GGUF files store
 * 1 + w (llama.cpp pull request 5631); leaving out the difference breaks the model without any error.
 */
export function weightOffset(config: ModelConfig, name: string): 0 | 1 {
  return name.endsWith("norm.weight") ? familyOf(config).normOffset : 0;
}

/** What wraps a module, or a layer, and adds a part to the names below: torch.compile, DataParallel, FSDP, checkpointing of activations, Fabric. */
const wrappers = new Set([
  "_orig_mod",
  "module",
  "_fsdp_wrapped_module",
  "_checkpoint_wrapped_module",
  "_forward_module",
]);

/**
 * A tensor's name as a text model has it; undefined for what is not part of the text model. Taken off are {@link wrappers}, PEFT's
 * `base_model.model.` and the prefix of a multimodal model (`language_model.model.` up to transformers 4.51, `model.language_model.` since); put on is
 * `model.`, which a model saved without its head lacks.
 */
export function textTensorName(name: string): string | undefined {
  const own = name
    .split(".")
    .filter((part) => !wrappers.has(part))
    .join(".")
    .replace(/^base_model\.model\./, "")
    .replace(/^(?:language_model\.model|model\.language_model)\./, "model.")
    .replace(/^language_model\.(?=lm_head\.)/, "")
    .replace(/^(?=(?:embed_tokens|layers|norm)\.)/, "model.");
  // Older files keep the rotary frequencies, which the config gives.
  return /^(?:model\.(?:embed_tokens|layers|norm)|lm_head)\./.test(own) && !own.includes("rotary_emb.")
    ? own
    : undefined;
}

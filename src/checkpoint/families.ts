/** The families of models that Prunelab opens, each a literal: what its blocks are made of, its tensors' names and its config's defaults. */

/** The norms of a block, by the name that the family's checkpoints give them; one that is left out is not there. */
export interface BlockNorms {
  readonly beforeAttention?: string;
  readonly afterAttention?: string;
  readonly beforeMlp?: string;
  readonly afterMlp?: string;
}

export interface Family {
  /** `model_type` in `config.json`, that of the text model. */
  readonly modelType: string;
  /** `model_type` of a multimodal model that holds this one as its `text_config`. */
  readonly within?: string;
  /** transformers' class, for `architectures` in `config.json`. */
  readonly architecture: string;
  readonly ggufArchitecture: string;
  /**
   * Whether GGUF files hold the rows of `q_proj` and `k_proj` in another order: llama.cpp rotates neighbouring pairs there, Hugging Face a head's
   * first half against its second.
   */
  readonly ggufPairsRows?: true;
  readonly norms: BlockNorms;
  /** RMSNorm multiplies by this plus the weight that Hugging Face's files store; GGUF files store the sum. */
  readonly normOffset: 0 | 1;
  /** Norms of queries and keys, `self_attn.{q,k}_norm`: over each head, or over the whole projection before it is split into heads. */
  readonly queryKeyNorm?: "head" | "projection";
  /** Linear layers that always have a bias; `attention_bias` and `mlp_bias` in `config.json` give it to the others. */
  readonly biases?: readonly string[];
  readonly activation: "gelu_pytorch_tanh" | "silu";
  /** The field of `config.json` that names the activation. */
  readonly activationField: "hidden_activation" | "hidden_act";
  /** Whether embeddings are multiplied by the root of the hidden size. */
  readonly scalesEmbedding?: true;
  /** Fields of `config.json` that must have this value, if they are there. */
  readonly fixed?: Readonly<Record<string, unknown>>;
  /** What transformers' config class fills in for a field that is left out. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

const llamaNorms: BlockNorms = { beforeAttention: "input_layernorm", beforeMlp: "post_attention_layernorm" };

const qwenDefaults = {
  vocab_size: 151_936,
  hidden_size: 4096,
  intermediate_size: 22_016,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  rms_norm_eps: 1e-6,
  max_position_embeddings: 32_768,
  tie_word_embeddings: false,
  rope_theta: 10_000,
  use_sliding_window: false,
  sliding_window: 4096,
  max_window_layers: 28,
};

/** Gemma 3 report (arXiv 2503.19786); transformers' `modeling_gemma3.py`. */
const gemma3: Family = {
  modelType: "gemma3_text",
  within: "gemma3",
  architecture: "Gemma3ForCausalLM",
  ggufArchitecture: "gemma3",
  norms: {
    beforeAttention: "input_layernorm",
    afterAttention: "post_attention_layernorm",
    beforeMlp: "pre_feedforward_layernorm",
    afterMlp: "post_feedforward_layernorm",
  },
  normOffset: 1,
  queryKeyNorm: "head",
  activation: "gelu_pytorch_tanh",
  activationField: "hidden_activation",
  scalesEmbedding: true,
  // EmbeddingGemma calls itself gemma3_text as well. transformers has a cap on attention's scores in its config, and does not apply it.
  fixed: { use_bidirectional_attention: false, attn_logit_softcapping: null },
  defaults: {
    vocab_size: 262_208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    query_pre_attn_scalar: 256,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 131_072,
    sliding_window: 4096,
    sliding_window_pattern: 6,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    tie_word_embeddings: true,
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
  },
};

/** Llama, SmolLM2, TinyLlama. LLaMA (arXiv 2302.13971); transformers' `modeling_llama.py`. */
const llama: Family = {
  modelType: "llama",
  architecture: "LlamaForCausalLM",
  ggufArchitecture: "llama",
  ggufPairsRows: true,
  norms: llamaNorms,
  normOffset: 0,
  activation: "silu",
  activationField: "hidden_act",
  defaults: {
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 2048,
    tie_word_embeddings: false,
    rope_theta: 10_000,
    bos_token_id: 1,
    eos_token_id: 2,
  },
};

/** Qwen3 report (arXiv 2505.09388); transformers' `modeling_qwen3.py`. */
const qwen3: Family = {
  modelType: "qwen3",
  architecture: "Qwen3ForCausalLM",
  ggufArchitecture: "qwen3",
  norms: llamaNorms,
  normOffset: 0,
  queryKeyNorm: "head",
  activation: "silu",
  activationField: "hidden_act",
  defaults: { ...qwenDefaults, head_dim: 128 },
};

/** Qwen2 and Qwen2.5 (arXiv 2412.15115); transformers' `modeling_qwen2.py`. */
const qwen2: Family = {
  modelType: "qwen2",
  architecture: "Qwen2ForCausalLM",
  ggufArchitecture: "qwen2",
  norms: llamaNorms,
  normOffset: 0,
  biases: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
  activation: "silu",
  activationField: "hidden_act",
  defaults: qwenDefaults,
};

/** 2 OLMo 2 Furious (arXiv 2501.00656); transformers' `modeling_olmo2.py`. */
const olmo2: Family = {
  modelType: "olmo2",
  architecture: "Olmo2ForCausalLM",
  ggufArchitecture: "olmo2",
  norms: { afterAttention: "post_attention_layernorm", afterMlp: "post_feedforward_layernorm" },
  normOffset: 0,
  queryKeyNorm: "projection",
  activation: "silu",
  activationField: "hidden_act",
  defaults: {
    vocab_size: 50_304,
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 2048,
    tie_word_embeddings: false,
    rope_theta: 10_000,
    pad_token_id: 1,
    eos_token_id: 50_279,
  },
};

export const families: readonly Family[] = [gemma3, llama, qwen3, qwen2, olmo2];

/** What is supported, for errors. */
export const familyNames: string = "Gemma 3, Llama (SmolLM2, TinyLlama), Qwen3, Qwen2 (Qwen2.5) and OLMo 2";

/** The family of a parsed config. */
export function familyOf({ model_type }: { readonly model_type: string }): Family {
  return families.find(({ modelType }) => modelType === model_type)!;
}

/** The text model's fields of `config.json`, by their own names. */
export interface Gemma3Config {
  readonly model_type: "gemma3_text";
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly query_pre_attn_scalar: number;
  readonly rms_norm_eps: number;
  readonly hidden_activation: "gelu_pytorch_tanh";
  readonly max_position_embeddings: number;
  /** One per layer. */
  readonly layer_types: readonly ("sliding_attention" | "full_attention")[];
  /** Keys that a sliding layer sees, its own position included. */
  readonly sliding_window: number;
  /** RoPE base of the full attention layers. */
  readonly rope_theta: number;
  /** RoPE base of the sliding attention layers. */
  readonly rope_local_base_freq: number;
  /** Linear RoPE scaling of the full attention layers (1 where there is none; 8 in the 4B and larger models). */
  readonly rope_scaling_factor: number;
  readonly bos_token_id: number;
  readonly eos_token_id: number | readonly number[];
  readonly pad_token_id: number;
  readonly tie_word_embeddings: true;
}

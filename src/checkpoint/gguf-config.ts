/** Gemma 3's text config out of GGUF metadata. */
import { PrunelabError } from "../errors.ts";
import { type Gemma3Config, parseGemma3Config } from "./config.ts";

/**
 * The config of a GGUF. What llama.cpp has as constants (src/models/gemma3.cpp) is filled in as there: every sixth layer
 * with full attention, the local RoPE base, and the 27B model's attention scale.
 *
 * @param vocabularySize - the embedding's number of rows; the metadata do not hold it.
 * @throws PrunelabError when it is another architecture, or a value is missing or cannot be.
 */
export function gemma3ConfigFromGguf(
  metadata: Readonly<Record<string, unknown>>,
  vocabularySize: number,
  where: string,
): Gemma3Config {
  const architecture = metadata["general.architecture"];
  if (architecture !== "gemma3") {
    throw new PrunelabError(
      `unsupported architecture: ${where}: ${JSON.stringify(String(architecture))}; Prunelab works on Gemma 3 text models`,
    );
  }
  const get = (key: string) => asNumber(metadata[`gemma3.${key}`]);
  const required = (key: string) => {
    const value = get(key);
    if (value === undefined)
      throw new PrunelabError(`missing gguf metadata: ${where}: gemma3.${key}; convert it again`);
    return value;
  };
  const tokenId = (name: string) => asNumber(metadata[`tokenizer.ggml.${name}_token_id`]);
  const hidden = required("embedding_length");
  const heads = required("attention.head_count");
  const layers = required("block_count");
  const headDim = get("attention.key_length") ?? Number(hidden) / Number(heads);
  const pattern = get("attention.sliding_window_pattern");
  const scaling = get("rope.scaling.type") ?? "none";
  const [endOfText, endOfTurn] = [tokenId("eos"), tokenId("eot")];
  return parseGemma3Config(
    {
      model_type: "gemma3_text",
      vocab_size: vocabularySize,
      hidden_size: hidden,
      intermediate_size: required("feed_forward_length"),
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: get("attention.head_count_kv") ?? heads,
      head_dim: headDim,
      query_pre_attn_scalar: layers === 62 ? Number(hidden) / Number(heads) : headDim,
      rms_norm_eps: shortest(required("attention.layer_norm_rms_epsilon")),
      max_position_embeddings: required("context_length"),
      sliding_window: required("attention.sliding_window"),
      ...(Array.isArray(pattern)
        ? { layer_types: pattern.map((isSliding) => (isSliding ? "sliding_attention" : "full_attention")) }
        : { sliding_window_pattern: pattern }),
      rope_theta: shortest(get("rope.freq_base")),
      rope_local_base_freq: shortest(get("rope.freq_base_swa")),
      rope_scaling: scaling === "none" ? null : { rope_type: scaling, factor: shortest(get("rope.scaling.factor")) },
      final_logit_softcapping: get("final_logit_softcapping"),
      bos_token_id: tokenId("bos"),
      eos_token_id: endOfTurn === undefined || endOfTurn === endOfText ? endOfText : [endOfText, endOfTurn],
      pad_token_id: tokenId("padding"),
    },
    where,
  );
}

/** GGUF's 64-bit numbers come as bigint. */
function asNumber(value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

/** The shortest decimal that is the same float32: 1e-6 is stored as 9.999999974752427e-7. */
function shortest(value: unknown): unknown {
  if (typeof value !== "number") return value;
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === Math.fround(value) ? short : value;
}

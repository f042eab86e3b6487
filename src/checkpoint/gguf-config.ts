/** A decoder's config out of GGUF metadata. */
import { PrunelabError } from "../errors.ts";
import { type ModelConfig, parseConfig } from "./config.ts";
import { families, familyNames } from "./families.ts";

/** What the tensors tell of a GGUF's config, since the metadata do not hold it. */
export interface GgufTensorFacts {
  /** The embedding's number of rows. */
  readonly vocabularySize: number;
  /** Whether the file has no `output.weight`. */
  readonly isTied: boolean;
  /** The values of `rope_freqs.weight`, by which Llama 3.1's and later files divide RoPE's frequencies. */
  readonly ropeFactors?: readonly number[];
}

/**
 * The config of a GGUF. What llama.cpp has as constants (src/models/gemma3.cpp) is filled in as there: every sixth layer
 * with full attention, the local RoPE base, and the 27B model's attention scale.
 *
 * @throws PrunelabError when the architecture is not supported, or a value is missing or cannot be.
 */
export function configFromGguf(
  metadata: Readonly<Record<string, unknown>>,
  { vocabularySize, isTied, ropeFactors }: GgufTensorFacts,
  where: string,
): ModelConfig {
  const architecture = metadata["general.architecture"];
  const family = families.find(({ ggufArchitecture }) => ggufArchitecture === architecture);
  if (!family) {
    throw new PrunelabError(
      `unsupported architecture: ${where}: ${JSON.stringify(String(architecture))}; Prunelab works on ${familyNames} text models`,
    );
  }
  const get = (key: string) => asNumber(metadata[`${architecture}.${key}`]);
  const required = (key: string) => {
    const value = get(key);
    if (value === undefined)
      throw new PrunelabError(`missing gguf metadata: ${where}: ${architecture}.${key}; convert it again`);
    return value;
  };
  const tokenId = (name: string) => asNumber(metadata[`tokenizer.ggml.${name}_token_id`]);
  const isGemma = architecture === "gemma3";
  const hidden = required("embedding_length");
  const heads = required("attention.head_count");
  const layers = required("block_count");
  const headDim = get("attention.key_length") ?? Number(hidden) / Number(heads);
  const rotated = get("rope.dimension_count") ?? headDim;
  if (rotated !== headDim) {
    throw new PrunelabError(
      `unsupported ${architecture}.rope.dimension_count: ${where}: ${rotated}; Prunelab rotates whole heads, of ${headDim}`,
    );
  }
  const pattern = get("attention.sliding_window_pattern");
  const scaling = get("rope.scaling.type") ?? "none";
  const context = required("context_length");
  const [endOfText, endOfTurn] = [tokenId("eos"), tokenId("eot")];
  return parseConfig(
    {
      model_type: family.modelType,
      vocab_size: vocabularySize,
      hidden_size: hidden,
      intermediate_size: required("feed_forward_length"),
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: get("attention.head_count_kv") ?? heads,
      head_dim: headDim,
      ...(isGemma && { query_pre_attn_scalar: layers === 62 ? Number(hidden) / Number(heads) : headDim }),
      rms_norm_eps: shortest(required("attention.layer_norm_rms_epsilon")),
      max_position_embeddings: context,
      sliding_window: isGemma ? required("attention.sliding_window") : null,
      ...(Array.isArray(pattern)
        ? { layer_types: pattern.map((isSliding) => (isSliding ? "sliding_attention" : "full_attention")) }
        : { sliding_window_pattern: pattern }),
      rope_theta: shortest(get("rope.freq_base")),
      rope_local_base_freq: shortest(get("rope.freq_base_swa")),
      rope_scaling: ropeFactors
        ? llama3Scaling(ropeFactors, Number(shortest(get("rope.freq_base")) ?? 10_000), where)
        : scaling === "none"
          ? null
          : { rope_type: scaling, factor: shortest(get("rope.scaling.factor")) },
      final_logit_softcapping: get("final_logit_softcapping"),
      bos_token_id: tokenId("bos"),
      eos_token_id: endOfTurn === undefined || endOfTurn === endOfText ? endOfText : [endOfText, endOfTurn],
      pad_token_id: tokenId("padding"),
      tie_word_embeddings: isTied,
    },
    where,
  );
}

/**
 * Llama 3.1's way to scale, back from the factors that llama.cpp's converter makes of it. The numbers that they cannot tell are those of all
 * published models.
 */
function llama3Scaling(factors: readonly number[], base: number, where: string): Record<string, unknown> {
  const [low, high, length] = [1, 4, 8192];
  const factor = Math.max(...factors);
  const isSame = factors.every((stored, i) => {
    const turns = length / (2 * Math.PI * base ** (i / factors.length));
    const share = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return Math.abs(stored * (share + (1 - share) / factor) - 1) < 1e-3;
  });
  if (isSame) {
    return {
      rope_type: "llama3",
      factor: shortest(factor),
      low_freq_factor: low,
      high_freq_factor: high,
      original_max_position_embeddings: length,
    };
  }
  throw new PrunelabError(
    `unsupported rope_freqs.weight: ${where}; Prunelab knows RoPE's frequencies as Llama 3.1, 3.2 and 3.3 scale them`,
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

/** Gemma 3's text config: read from `config.json`, checked, and written. */
import { PrunelabError } from "../errors.ts";

/** Layers with a window, and those that see all keys: masked, cached and rotated differently. */
export type LayerType = "sliding_attention" | "full_attention";

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
  readonly layer_types: readonly LayerType[];
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

/** The largest count that a config may have; far above any Gemma, and small enough that products of two stay exact. */
const maxCount = 2 ** 24;
const maxLayers = 1000;

/**
 * Checks a parsed `config.json` and fills in what it leaves out, with the defaults of transformers' `Gemma3TextConfig`.
 * A multimodal Gemma 3's `text_config` is taken out.
 *
 * @param where - the file, for errors.
 * @throws PrunelabError when it is another architecture, uses a feature that Gemma 3's published models do not, or holds
 *   a value that cannot be.
 */
export function parseGemma3Config(json: Readonly<Record<string, unknown>>, where: string): Gemma3Config {
  const textConfig = json.model_type === "gemma3" ? asObject(json.text_config) : undefined;
  if (!textConfig && json.model_type !== "gemma3_text") {
    throw new PrunelabError(
      `unsupported architecture: ${where}: ${show(json.model_type)}; Prunelab works on Gemma 3 text models`,
    );
  }
  // What stands only outside of text_config counts for the text model too: the token ids of the published files do.
  const raw = { ...withoutNull(json), ...withoutNull(textConfig ?? {}) };

  const invalid = (key: string, need: string, value: unknown = raw[key]) =>
    new PrunelabError(`invalid ${key}: ${where}: ${show(value)}; needs ${need}`);
  const count = (key: string, fallback: number, max = maxCount): number => {
    const value = raw[key] ?? fallback;
    if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > max) {
      throw invalid(key, `a whole number from 1 to ${max}`);
    }
    return value as number;
  };
  const positive = (key: string, value: unknown): number => {
    if (typeof value === "number" && value > 0 && Number.isFinite(value)) return value;
    throw invalid(key, "a number above 0", value);
  };
  const tokenId = (key: string, value: unknown): number => {
    if (!Number.isInteger(value) || (value as number) < 0) throw invalid(key, "a token id", value);
    return value as number;
  };
  const only = (key: string, known: unknown): void => {
    const value = raw[key] ?? known;
    if (value === known) return;
    throw new PrunelabError(`unsupported ${key}: ${where}: ${show(value)}; Prunelab knows ${show(known)}`);
  };
  only("hidden_activation", "gelu_pytorch_tanh");
  only("tie_word_embeddings", true);
  for (const key of ["attention_bias", "use_bidirectional_attention"]) only(key, false);
  for (const key of ["attn_logit_softcapping", "final_logit_softcapping"]) only(key, null);

  const layers = count("num_hidden_layers", 26, maxLayers);
  const heads = count("num_attention_heads", 8);
  const keyValueHeads = count("num_key_value_heads", 4);
  if (heads % keyValueHeads !== 0) throw invalid("num_key_value_heads", `a divisor of the ${heads} attention heads`);
  const headDim = count("head_dim", 256);
  if (headDim % 2 !== 0) throw invalid("head_dim", "an even number");
  const vocabulary = count("vocab_size", 262_208);
  const eos = Array.isArray(raw.eos_token_id)
    ? raw.eos_token_id.map((id) => tokenId("eos_token_id", id))
    : tokenId("eos_token_id", raw.eos_token_id ?? 1);
  if (Array.isArray(eos) && eos.length === 0) throw invalid("eos_token_id", "a token id");

  const rope = ropeParameters(raw, where);
  return {
    model_type: "gemma3_text",
    vocab_size: vocabulary,
    hidden_size: count("hidden_size", 2304),
    intermediate_size: count("intermediate_size", 9216),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    head_dim: headDim,
    query_pre_attn_scalar: positive("query_pre_attn_scalar", raw.query_pre_attn_scalar ?? 256),
    rms_norm_eps: positive("rms_norm_eps", raw.rms_norm_eps ?? 1e-6),
    hidden_activation: "gelu_pytorch_tanh",
    max_position_embeddings: count("max_position_embeddings", 131_072),
    layer_types: layerTypes(raw, layers, invalid),
    sliding_window: count("sliding_window", 4096),
    rope_theta: positive("rope_theta", rope.theta ?? 1_000_000),
    rope_local_base_freq: positive("rope_local_base_freq", rope.localBase ?? 10_000),
    rope_scaling_factor: rope.isScaled ? positive("rope_scaling.factor", rope.factor) : 1,
    bos_token_id: tokenId("bos_token_id", raw.bos_token_id ?? 2),
    eos_token_id: eos,
    pad_token_id: tokenId("pad_token_id", raw.pad_token_id ?? 0),
    tie_word_embeddings: true,
  };
}

/** RoPE's numbers, yet unchecked: transformers 5 nests them by layer type, and may keep the older keys beside. */
function ropeParameters(
  raw: Readonly<Record<string, unknown>>,
  where: string,
): { theta: unknown; localBase: unknown; isScaled: boolean; factor: unknown } {
  const nested = asObject(raw.rope_parameters);
  const full = { ...asObject(nested?.full_attention), ...asObject(raw.rope_scaling) };
  const sliding = asObject(nested?.sliding_attention) ?? {};
  const typeOf = (rope: Record<string, unknown>) => rope.rope_type ?? rope.type ?? "default";
  for (const [type, known] of [
    [typeOf(full), ["default", "linear"]],
    [typeOf(sliding), ["default"]],
  ] as const) {
    if ((known as readonly unknown[]).includes(type)) continue;
    throw new PrunelabError(`unsupported rope_type: ${where}: ${show(type)}; Prunelab knows "default" and "linear"`);
  }
  return {
    theta: full.rope_theta ?? raw.rope_theta,
    localBase: sliding.rope_theta ?? raw.rope_local_base_freq,
    isScaled: typeOf(full) === "linear",
    factor: full.factor,
  };
}

function layerTypes(
  raw: Readonly<Record<string, unknown>>,
  layers: number,
  invalid: (key: string, need: string) => PrunelabError,
): LayerType[] {
  const given = raw.layer_types;
  if (given !== undefined) {
    const known: readonly unknown[] = ["sliding_attention", "full_attention"];
    if (!Array.isArray(given) || given.length !== layers || !given.every((type) => known.includes(type))) {
      throw invalid("layer_types", `${layers} of "sliding_attention" or "full_attention"`);
    }
    return given as LayerType[];
  }
  const key = raw.sliding_window_pattern !== undefined ? "sliding_window_pattern" : "_sliding_window_pattern";
  const pattern = raw[key] ?? 6;
  if (!Number.isInteger(pattern) || (pattern as number) < 1) throw invalid(key, "a whole number from 1 on");
  return Array.from({ length: layers }, (_, layer) =>
    (layer + 1) % (pattern as number) === 0 ? "full_attention" : "sliding_attention",
  );
}

/** A value in an error: as JSON, cut to a readable length. */
function show(value: unknown): string {
  const text = String(JSON.stringify(value, (_, item) => (typeof item === "bigint" ? Number(item) : item)));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** A null in `config.json` means what leaving the key out means. */
function withoutNull(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined));
}

/** The `config.json` of a text model in bfloat16, as transformers 4 and 5 load it. */
export function gemma3ConfigJson(config: Gemma3Config): Record<string, unknown> {
  const { rope_scaling_factor: factor, ...fields } = config;
  return {
    architectures: ["Gemma3ForCausalLM"],
    attention_bias: false,
    attention_dropout: 0,
    attn_logit_softcapping: null,
    final_logit_softcapping: null,
    initializer_range: 0.02,
    ...fields,
    rope_scaling: factor === 1 ? null : { factor, rope_type: "linear" },
    torch_dtype: "bfloat16",
    use_cache: true,
  };
}

/** The config of a decoder: read from `config.json` for any family, checked, and written. */
import { PrunelabError } from "../errors.ts";
import { type Family, families, familyNames, familyOf } from "./families.ts";

/** Layers with a window, and those that see all keys: masked, cached and rotated differently. */
export type LayerType = "sliding_attention" | "full_attention";

/** How RoPE's frequencies are stretched: all alike, or as Llama 3.1 does it, only the slow ones. */
export type RopeScaling =
  | { readonly rope_type: "linear"; readonly factor: number }
  | {
      readonly rope_type: "llama3";
      readonly factor: number;
      readonly low_freq_factor: number;
      readonly high_freq_factor: number;
      readonly original_max_position_embeddings: number;
    };

/** The fields of `config.json` that the graph depends on, by their own names; what is the same for a whole family is in families.ts. */
export interface ModelConfig {
  /** The family. */
  readonly model_type: string;
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  /** Attention's products are divided by its root: `head_dim`, except in Gemma. */
  readonly query_pre_attn_scalar: number;
  readonly rms_norm_eps: number;
  readonly max_position_embeddings: number;
  /** One per layer. */
  readonly layer_types: readonly LayerType[];
  /** Keys that a sliding layer sees, its own position included; null if no layer slides. */
  readonly sliding_window: number | null;
  readonly rope_theta: number;
  /** RoPE base of the sliding layers, which is not scaled; null if they are rotated as the others are. */
  readonly rope_local_base_freq: number | null;
  readonly rope_scaling: RopeScaling | null;
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
  /** Logits x become cap × tanh(x / cap). */
  readonly final_logit_softcapping: number | null;
  readonly bos_token_id: number | null;
  readonly eos_token_id: number | readonly number[] | null;
  readonly pad_token_id: number | null;
  readonly tie_word_embeddings: boolean;
  /** PEFT's name: learnt embeddings that stand before every text. Only a prompt adapter gives them; no file has them. */
  readonly num_virtual_tokens?: number;
}

/** The largest count that a config may have; far above any model's, and small enough that products of two stay exact. */
const maxCount = 2 ** 24;
const maxLayers = 1000;

type Fields = Readonly<Record<string, unknown>>;
type Invalid = (key: string, need: string, value?: unknown) => PrunelabError;

/**
 * Checks a parsed `config.json` and fills in what it leaves out, with the defaults of transformers' config classes. A multimodal model's
 * `text_config` is taken out.
 *
 * @param where - the file, for errors.
 * @throws PrunelabError when the family is not supported, it uses a feature that the family's published models do not, or holds a value that
 *   cannot be.
 */
export function parseConfig(json: Fields, where: string): ModelConfig {
  const family = families.find(
    ({ modelType, within }) =>
      json.model_type === modelType || (json.model_type === within && asObject(json.text_config)),
  );
  if (!family) {
    throw new PrunelabError(
      `unsupported architecture: ${where}: ${show(json.model_type)}; Prunelab works on ${familyNames} text models`,
    );
  }
  // What stands only outside of text_config counts for the text model too: the token ids of the published files do.
  const given: Fields = {
    ...withoutNull(json),
    ...(json.model_type === family.within ? withoutNull(asObject(json.text_config)!) : {}),
  };
  const raw: Fields = { ...family.defaults, ...given };
  const invalid: Invalid = (key, need, value = raw[key]) =>
    new PrunelabError(`invalid ${key}: ${where}: ${show(value)}; needs ${need}`);
  const count = (key: string, fallback?: number, max = maxCount): number => {
    const value = raw[key] ?? fallback;
    if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > max) {
      throw invalid(key, `a whole number from 1 to ${max}`, value);
    }
    return value as number;
  };
  const positive = (key: string, value: unknown = raw[key]): number => {
    if (typeof value === "number" && value > 0 && Number.isFinite(value)) return value;
    throw invalid(key, "a number above 0", value);
  };
  const flag = (key: string): boolean => {
    const value = raw[key] ?? false;
    if (typeof value !== "boolean") throw invalid(key, "true or false");
    return value;
  };
  const tokenId = (key: string, value: unknown): number => {
    if (!Number.isInteger(value) || (value as number) < 0) throw invalid(key, "a token id", value);
    return value as number;
  };
  const anyTokenId = (key: string) => (raw[key] === undefined ? null : tokenId(key, raw[key]));
  for (const [key, known] of Object.entries({ ...family.fixed, [family.activationField]: family.activation })) {
    const value = raw[key] ?? known;
    if (value === known) continue;
    throw new PrunelabError(`unsupported ${key}: ${where}: ${show(value)}; Prunelab knows ${show(known)}`);
  }

  const layers = count("num_hidden_layers", undefined, maxLayers);
  const heads = count("num_attention_heads");
  const keyValueHeads = count("num_key_value_heads", heads);
  if (heads % keyValueHeads !== 0) throw invalid("num_key_value_heads", `a divisor of the ${heads} attention heads`);
  const hiddenSize = count("hidden_size");
  const headDim = count("head_dim", hiddenSize / heads);
  if (headDim % 2 !== 0) throw invalid("head_dim", "an even number", headDim);
  const types = layerTypes(family, given, layers, invalid);
  const eos = Array.isArray(raw.eos_token_id)
    ? raw.eos_token_id.map((id) => tokenId("eos_token_id", id))
    : anyTokenId("eos_token_id");
  if (Array.isArray(eos) && eos.length === 0) throw invalid("eos_token_id", "a token id");
  const length = count("max_position_embeddings");
  const rope = ropeFields(family, given, where);
  return {
    model_type: family.modelType,
    vocab_size: count("vocab_size"),
    hidden_size: hiddenSize,
    intermediate_size: count("intermediate_size"),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    head_dim: headDim,
    query_pre_attn_scalar: positive("query_pre_attn_scalar", raw.query_pre_attn_scalar ?? headDim),
    rms_norm_eps: positive("rms_norm_eps"),
    max_position_embeddings: length,
    layer_types: types,
    sliding_window: types.includes("sliding_attention") ? count("sliding_window") : null,
    rope_theta: positive("rope_theta", rope.theta ?? raw.rope_theta),
    rope_local_base_freq:
      raw.rope_local_base_freq === undefined
        ? null
        : positive("rope_local_base_freq", rope.localBase ?? raw.rope_local_base_freq),
    rope_scaling: ropeScaling(rope.full, length, positive, where),
    attention_bias: flag("attention_bias"),
    mlp_bias: flag("mlp_bias"),
    final_logit_softcapping: raw.final_logit_softcapping === undefined ? null : positive("final_logit_softcapping"),
    bos_token_id: anyTokenId("bos_token_id"),
    eos_token_id: eos,
    pad_token_id: anyTokenId("pad_token_id"),
    tie_word_embeddings: flag("tie_word_embeddings"),
  };
}

/** RoPE's fields, yet unchecked: transformers 5 has them in one object, by layer type where these differ, and may keep the older keys beside. */
function ropeFields(family: Family, given: Fields, where: string) {
  const parameters = asObject(given.rope_parameters);
  const isByType = "full_attention" in (parameters ?? {}) || "sliding_attention" in (parameters ?? {});
  const full: Fields = {
    ...(isByType ? asObject(parameters!.full_attention) : parameters),
    ...asObject(given.rope_scaling),
  };
  const sliding: Fields = (isByType && asObject(parameters!.sliding_attention)) || {};
  if (family.defaults.rope_local_base_freq !== undefined && ropeType(sliding) !== "default") {
    throw unsupportedRope(ropeType(sliding), where);
  }
  return {
    theta: full.rope_theta ?? given.rope_theta,
    localBase: sliding.rope_theta ?? given.rope_local_base_freq,
    full,
  };
}

const ropeType = (rope: Fields) => rope.rope_type ?? rope.type ?? "default";

function unsupportedRope(type: unknown, where: string): PrunelabError {
  return new PrunelabError(
    `unsupported rope_type: ${where}: ${show(type)}; Prunelab knows "default", "linear" and "llama3"`,
  );
}

function ropeScaling(
  rope: Fields,
  length: number,
  positive: (key: string, value: unknown) => number,
  where: string,
): RopeScaling | null {
  const type = ropeType(rope);
  const number = (key: string, fallback?: number) => positive(`rope_scaling.${key}`, rope[key] ?? fallback);
  if (type === "default") return null;
  if (type === "linear") return { rope_type: "linear", factor: number("factor") };
  if (type !== "llama3") throw unsupportedRope(type, where);
  return {
    rope_type: "llama3",
    factor: number("factor"),
    low_freq_factor: number("low_freq_factor"),
    high_freq_factor: number("high_freq_factor"),
    original_max_position_embeddings: number("original_max_position_embeddings", length),
  };
}

function layerTypes({ defaults }: Family, given: Fields, layers: number, invalid: Invalid): LayerType[] {
  const raw: Fields = { ...defaults, ...given };
  if (raw.layer_types !== undefined) {
    const known: readonly unknown[] = ["sliding_attention", "full_attention"];
    const types = raw.layer_types;
    if (!Array.isArray(types) || types.length !== layers || !types.every((type) => known.includes(type))) {
      throw invalid("layer_types", `${layers} of "sliding_attention" or "full_attention"`);
    }
    return types as LayerType[];
  }
  const whole = (key: string, least: number): number => {
    if (Number.isInteger(raw[key]) && (raw[key] as number) >= least) return raw[key] as number;
    throw invalid(key, `a whole number from ${least} on`);
  };
  let isSliding = (_layer: number) => false;
  if (raw.use_sliding_window === true) {
    const first = whole("max_window_layers", 0);
    isSliding = (layer) => layer >= first;
  } else if (defaults.sliding_window_pattern !== undefined) {
    const isOlder = given.sliding_window_pattern === undefined && given._sliding_window_pattern !== undefined;
    const pattern = whole(isOlder ? "_sliding_window_pattern" : "sliding_window_pattern", 1);
    isSliding = (layer) => (layer + 1) % pattern !== 0;
  }
  return Array.from({ length: layers }, (_, layer) => (isSliding(layer) ? "sliding_attention" : "full_attention"));
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
function withoutNull(object: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined));
}

/** The `config.json` of a text model in bfloat16, as transformers 4 and 5 load it. */
export function configJson(config: ModelConfig): Record<string, unknown> {
  const family = familyOf(config);
  // A field that this family's config class has not is left out where it says nothing.
  const own = Object.entries(config).filter(([key, value]) => value !== null || key.endsWith("_token_id"));
  const fields: Record<string, unknown> = Object.fromEntries(own);
  if (family.defaults.query_pre_attn_scalar === undefined) delete fields.query_pre_attn_scalar;
  if (config.sliding_window !== null && "use_sliding_window" in family.defaults) fields.use_sliding_window = true;
  return {
    architectures: [family.architecture],
    attention_dropout: 0,
    initializer_range: 0.02,
    [family.activationField]: family.activation,
    ...fields,
    final_logit_softcapping: config.final_logit_softcapping,
    rope_scaling: config.rope_scaling,
    torch_dtype: "bfloat16",
    use_cache: true,
  };
}

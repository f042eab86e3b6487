/**
 * A decoder of any family (checkpoint/families.ts) as graph operators: weights, norm, rotary positions, attention, MLP, block, the whole model,
 * and its head. What graphs are made of them is in graphs.ts and, for one block, in block-graph.ts. Tensors have the checkpoint's names.
 *
 * Between the blocks the hidden states are flat, `[batch × tokens, hidden]`: a linear layer is then one Gemm with the checkpoint's `[out, in]`
 * weight as it is.
 */
import type { LayerType, ModelConfig, RopeScaling } from "../checkpoint/config.ts";
import { familyOf } from "../checkpoint/families.ts";
import { blockTensors, embeddingName, headName, modelTensors, promptName } from "../checkpoint/tensor-names.ts";
import {
  bytesOfWeight,
  type GraphBuilder,
  microsoft,
  placeWeights,
  type Value,
  type WeightLayout,
} from "../onnx/graph.ts";

/** The file that the graphs expect beside them (or in memory under this name). */
export const weightsFile = "model.onnx_data";

/** Shapes and places of all weights in the external data file, float32. Norm weights are stored there as what they multiply by. */
export function weightLayout(config: ModelConfig): WeightLayout {
  const { num_virtual_tokens: count, hidden_size } = config;
  const prompt = count === undefined ? [] : [{ name: promptName, shape: [count, hidden_size] }];
  return placeWeights([...modelTensors(config), ...prompt]);
}

/** The length of the external data file. */
export function weightBytes(layout: WeightLayout): number {
  return Math.max(...[...layout.values()].map((weight) => weight.offset + bytesOfWeight(weight)));
}

/** The layer types that a model has: its graphs take a mask for each. */
export function layerTypesOf({ layer_types }: ModelConfig): LayerType[] {
  return [...new Set(layer_types)].sort();
}

/** Keys that a layer sees, its own position included; undefined: all before it. */
export function windowOf(config: ModelConfig, type: LayerType): number | undefined {
  return type === "sliding_attention" ? (config.sliding_window ?? undefined) : undefined;
}

/** What embeddings are multiplied by before the first block. */
export function embeddingScale(config: ModelConfig): number {
  return familyOf(config).scalesEmbedding ? Math.fround(Math.sqrt(config.hidden_size)) : 1;
}

/** RMSNorm over the last dimension; `weight` is what it multiplies by, Gemma's 1 + w. */
export function addNorm(graph: GraphBuilder, config: ModelConfig, x: Value, weight: Value): Value {
  return graph.op("SimplifiedLayerNormalization", [x, weight], { axis: -1, epsilon: { float: config.rms_norm_eps } });
}

/** Rotates queries or keys `[batch, heads, tokens, head_dim]` by their positions. */
export type Rotate = (x: Value) => Value;

/**
 * Adds the tables of rotary angles and returns how each layer type rotates. `tokens`: int64 `[2]`, batch and tokens; `positionIds`: int64
 * `[batch, tokens]`. `inFloat64`: sines and cosines in float64 on the CPU, for graphs on a GPU.
 */
export function addRotation(
  graph: GraphBuilder,
  config: ModelConfig,
  tokens: Value,
  positionIds: Value,
  { inFloat64 = false }: { readonly inFloat64?: boolean } = {},
): (type: LayerType) => Rotate {
  // RotaryEmbedding takes a table of angles and a row of it for each token. Our table has a row per token of the batch, computed here in
  // float32 as transformers does, so that no context length is built in.
  const tokenCount = graph.op("ReduceProd", [tokens], { keepdims: 0 });
  const tableRows = graph.reshape(graph.op("Range", [graph.int(0), tokenCount, graph.int(1)]), tokens);
  const flatPositions = graph.op("Cast", [graph.reshape(positionIds, -1, 1)], { to: 1 });
  const table = (type: LayerType) => {
    const frequencies = rotaryFrequencies(config, type);
    const angle = graph.op("Mul", [flatPositions, graph.constant("float32", frequencies, [1, frequencies.length])]);
    if (!inFloat64) return [graph.op("Cos", [angle]), graph.op("Sin", [angle])];
    // A GPU may be 5e-4 off here (WGSL's specification). None has float64, so that this runs on the CPU, which has no such cosine.
    const double = (x: Value) => graph.op("Cast", [x], { to: 11 });
    const sine = (x: Value) => graph.op("Cast", [graph.op("Sin", [x])], { to: 1 });
    const high = Math.fround(Math.PI / 2);
    const quarter = graph.op("Add", [double(graph.float(high)), double(graph.float(Math.PI / 2 - high))]);
    return [sine(graph.op("Add", [double(angle), quarter])), sine(double(angle))];
  };
  const tables = { full_attention: table("full_attention"), sliding_attention: table("sliding_attention") };
  return (type) => (x) => graph.op("RotaryEmbedding", [x, tableRows, ...tables[type]], {}, microsoft);
}

/** Radians a token, for each pair of a head's dimensions. */
function rotaryFrequencies(config: ModelConfig, type: LayerType): number[] {
  const { head_dim, rope_theta, rope_local_base_freq, rope_scaling } = config;
  const isLocal = type === "sliding_attention" && rope_local_base_freq !== null;
  const base = isLocal ? rope_local_base_freq : rope_theta;
  return Array.from({ length: head_dim / 2 }, (_, i) => {
    const plain = 1 / base ** ((2 * i) / head_dim);
    if (isLocal || rope_scaling === null) return Math.fround(plain);
    if (rope_scaling.rope_type === "linear")
      return Math.fround(1 / (base ** ((2 * i) / head_dim) * rope_scaling.factor));
    return Math.fround(plain * llama3Slowing(rope_scaling, plain));
  });
}

/** What Llama 3.1's scaling multiplies a frequency by: fast ones stay, slow ones are stretched, and those between by a share. */
export function llama3Slowing(scaling: Extract<RopeScaling, { rope_type: "llama3" }>, frequency: number): number {
  const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: length } = scaling;
  const turns = (length * frequency) / (2 * Math.PI);
  const share = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return share + (1 - share) / factor;
}

/** Queries `from` to `to` look at no key outside `firstKey` to `to`. */
export interface AttentionSpan {
  readonly from: number;
  readonly to: number;
  readonly firstKey: number;
}

/** What a block finds around it, and hooks into it. */
export interface BlockContext {
  readonly config: ModelConfig;
  /** int64 `[2]`: batch, tokens. */
  readonly tokens: Value;
  /** By the name within the block, e.g. `"self_attn.q_proj.weight"`. Norm weights are what they multiply by. */
  readonly weight: (name: string) => Value;
  readonly rotate: Rotate;
  /** Added to attention's scores, float32 `[batch or 1, 1, tokens, keys]`. */
  readonly mask: Value;
  /** Queries that attend together, in order, and the keys that they may see; all queries to all keys unless given. */
  readonly spans?: readonly AttentionSpan[];
  /** The keys or values `[batch, kv heads, tokens, head_dim]` with those before them; none are before unless given. */
  readonly cached?: (what: "key" | "value", now: Value) => Value;
  /** What is still needed after attention has mixed the tokens; all unless given. */
  readonly kept?: (x: Value) => Value;
  /** Sees each linear layer (`"self_attn.q_proj"`), its input `[batch × tokens, in]` and output, and gives the output that counts. */
  readonly linear?: (name: string, input: Value, output: Value) => Value;
}

/** Adds a block to the graph: flat hidden states in, flat hidden states out. */
export function addBlock(graph: GraphBuilder, x: Value, context: BlockContext): Value {
  const { config, weight, kept = (x) => x } = context;
  const { norms } = familyOf(config);
  const norm = (x: Value, name: string | undefined) =>
    name === undefined ? x : addNorm(graph, config, x, weight(`${name}.weight`));
  const attended = addAttention(graph, norm(x, norms.beforeAttention), context);
  const middle = graph.op("Add", [kept(x), norm(attended, norms.afterAttention)]);
  const transformed = addMlp(graph, norm(middle, norms.beforeMlp), context);
  return graph.op("Add", [middle, norm(transformed, norms.afterMlp)]);
}

function addLinear(graph: GraphBuilder, x: Value, name: string, { config, weight, linear }: BlockContext): Value {
  const hasBias = blockTensors(config).some((tensor) => tensor.name === `${name}.bias`);
  const parameters = [weight(`${name}.weight`), ...(hasBias ? [weight(`${name}.bias`)] : [])];
  const output = graph.op("Gemm", [x, ...parameters], { transB: 1 });
  return linear ? linear(name, x, output) : output;
}

function addAttention(graph: GraphBuilder, x: Value, context: BlockContext): Value {
  const { config, tokens, weight, rotate, mask, spans, kept = (x) => x, cached = (_, now) => now } = context;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headSize } = config;
  const { queryKeyNorm } = familyOf(config);
  const linear = (x: Value, name: string) => addLinear(graph, x, name, context);
  const split = (x: Value, count: number) => graph.reshape(x, tokens, count, headSize);
  const headsFirst = (x: Value) => graph.transpose(x, 0, 2, 1, 3);
  const normed = (x: Value, name: string, count: number) => {
    const norm = (x: Value) => addNorm(graph, config, x, weight(name));
    if (queryKeyNorm === "projection") return split(norm(x), count);
    return queryKeyNorm === "head" ? norm(split(x, count)) : split(x, count);
  };

  const attend = (queries: Value, keys: Value, values: Value, mask: Value) => {
    // The query heads that share a key head are stacked below each other: [batch, kv heads, group × tokens, head_dim].
    const stacked = graph.reshape(queries, 0, kvHeads, -1, headSize);
    const products = graph.op("MatMul", [stacked, graph.transpose(keys, 0, 1, 3, 2)]);
    const masked = graph.op("Add", [
      graph.reshape(products, graph.op("Shape", [queries], { start: 0, end: 3 }), -1),
      mask,
    ]);
    const weights = graph.reshape(graph.op("Softmax", [masked], { axis: -1 }), graph.op("Shape", [products]));
    return graph.reshape(graph.op("MatMul", [weights, values]), graph.op("Shape", [queries]));
  };

  const queries = normed(linear(x, "self_attn.q_proj"), "self_attn.q_norm.weight", heads);
  const keys = normed(linear(x, "self_attn.k_proj"), "self_attn.k_norm.weight", kvHeads);
  const values = headsFirst(split(linear(x, "self_attn.v_proj"), kvHeads));
  const allKeys = cached("key", rotate(headsFirst(keys)));
  const allValues = cached("value", values);

  const scale = graph.float(config.query_pre_attn_scalar ** -0.5);
  const rotated = graph.op("Mul", [rotate(headsFirst(queries)), scale]);
  const parts = spans?.map(({ from, to, firstKey }) =>
    attend(
      graph.slice(rotated, 2, from, to),
      graph.slice(allKeys, 2, firstKey, to),
      graph.slice(allValues, 2, firstKey, to),
      graph.slice(graph.slice(mask, 2, from, to), 3, firstKey, to),
    ),
  );
  const mixed = parts ? graph.concat(parts, 2) : attend(rotated, allKeys, allValues, mask);
  return linear(kept(graph.reshape(headsFirst(mixed), -1, heads * headSize)), "self_attn.o_proj");
}

function addMlp(graph: GraphBuilder, x: Value, context: BlockContext): Value {
  const linear = (x: Value, name: string) => addLinear(graph, x, name, context);
  const gate = linear(x, "mlp.gate_proj");
  const activated =
    familyOf(context.config).activation === "silu"
      ? graph.op("Mul", [gate, graph.op("Sigmoid", [gate])])
      : graph.op("Gelu", [gate], { approximate: "tanh" });
  return linear(graph.op("Mul", [activated, linear(x, "mlp.up_proj")]), "mlp.down_proj");
}

/** What the blocks of a model find around them, by layer if they differ. */
export interface DecoderContext {
  /** int64 `[batch, tokens]`, as `positionIds`. */
  readonly inputIds: Value;
  readonly positionIds: Value;
  /** See {@link BlockContext}; one for each layer type that the model has. */
  readonly masks: Partial<Record<LayerType, Value>>;
  readonly cached?: (layer: number, what: "key" | "value", now: Value) => Value;
  /** Of the last block. */
  readonly kept?: (x: Value) => Value;
  readonly linear?: (layer: number, name: string, input: Value, output: Value) => Value;
}

/** Adds embedding and blocks: token ids → flat hidden states before the last norm. Weights are the graph's, by the checkpoint's names. */
export function addDecoder(graph: GraphBuilder, config: ModelConfig, context: DecoderContext): Value {
  const { inputIds, positionIds, masks, cached, kept, linear } = context;
  const tokens = graph.op("Shape", [inputIds]);
  const rotation = addRotation(graph, config, tokens, positionIds);
  let x = addEmbedding(graph, config, graph.reshape(inputIds, -1));
  for (const [layer, type] of config.layer_types.entries()) {
    x = addBlock(graph, x, {
      config,
      tokens,
      weight: (name) => graph.weight(`model.layers.${layer}.${name}`),
      rotate: rotation(type),
      mask: masks[type]!,
      ...(cached && { cached: (what, now) => cached(layer, what, now) }),
      ...(kept && layer === config.num_hidden_layers - 1 && { kept }),
      ...(linear && { linear: (name, input, output) => linear(layer, name, input, output) }),
    });
  }
  return x;
}

/** Token ids `[rows]` → `[rows, hidden]`. A prompt's virtual tokens have the ids behind the vocabulary. */
function addEmbedding(graph: GraphBuilder, config: ModelConfig, ids: Value): Value {
  const { vocab_size, num_virtual_tokens } = config;
  const scale = embeddingScale(config);
  const rowsOf = (own: Value) => {
    const rows = graph.op("Gather", [graph.weight(embeddingName), own]);
    return scale === 1 ? rows : graph.op("Mul", [rows, graph.float(scale)]);
  };
  if (num_virtual_tokens === undefined) return rowsOf(ids);
  const place = graph.op("Sub", [ids, graph.int(vocab_size)]);
  const isVirtual = graph.op("GreaterOrEqual", [place, graph.int(0)]);
  const real = rowsOf(graph.op("Where", [isVirtual, graph.int(0), ids]));
  const learnt = graph.op("Gather", [graph.weight(promptName), graph.op("Where", [isVirtual, place, graph.int(0)])]);
  return graph.op("Where", [graph.reshape(isVirtual, -1, 1), learnt, real]);
}

/** Adds the last norm: what {@link addDecoder} gives → what the head multiplies. */
export function addFinalNorm(graph: GraphBuilder, config: ModelConfig, x: Value): Value {
  return addNorm(graph, config, x, graph.weight("model.norm.weight"));
}

/** Adds the head: normed hidden states `[rows, hidden]` → logits of the tokens whose rows of the embedding `weight` holds. */
export function addLogits(
  graph: GraphBuilder,
  config: ModelConfig,
  x: Value,
  weight: Value = graph.weight(headName(config)),
): Value {
  const logits = graph.op("Gemm", [x, weight], { transB: 1 });
  const cap = config.final_logit_softcapping;
  if (cap === null) return logits;
  return graph.op("Mul", [graph.op("Tanh", [graph.op("Div", [logits, graph.float(cap)])]), graph.float(cap)]);
}

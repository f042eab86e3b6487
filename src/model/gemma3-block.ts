/**
 * One block of Gemma 3, attention and MLP, as graph operators: part of the whole model's graphs, and of a graph of its
 * own for calibration. Source: transformers' `modeling_gemma3.py`, read with the checkpoint's own names.
 *
 * Between the blocks the hidden states are flat, `[batch × tokens, hidden]`: a linear layer is then one Gemm with the
 * checkpoint's `[out, in]` weight as it is.
 */
import type { Gemma3Config, LayerType } from "../checkpoint/config.ts";
import { type GraphBuilder, microsoft, type Value } from "../onnx/graph.ts";

/** What a block finds around it. */
export interface BlockSurroundings {
  readonly config: Gemma3Config;
  /** int64 `[2]`: batch, tokens. */
  readonly tokens: Value;
  /** By the name within the block, e.g. `"self_attn.q_proj"`. Norm weights are 1 + w. */
  readonly weight: (name: string) => Value;
  /** Turns queries or keys `[batch, heads, tokens, head_dim]` by their positions. */
  readonly rotate: (x: Value) => Value;
  /** Added to attention's scores. */
  readonly mask: Value;
  /** Queries that attend together, in order, and the keys that they may see; all queries to all keys unless given. */
  readonly spans?: readonly AttentionSpan[];
  /** The keys or values `[batch, kv heads, tokens, head_dim]` with those before them; none are before unless given. */
  readonly cached?: (what: "key" | "value", now: Value) => Value;
  /** What is still needed after attention has mixed the tokens; all unless given. */
  readonly kept?: (x: Value) => Value;
  /** Multiplies by a linear layer's weight; a float32 product unless given. */
  readonly multiply?: Linear;
  /** Sees the input of each linear layer, `[batch × tokens, in]`. */
  readonly onLinear?: (name: string, x: Value) => void;
}

/** `[rows, in]` and a weight `[out, in]` → `[rows, out]`. */
export type Linear = (x: Value, weight: Value) => Value;

/** Queries `from` to `to` look at no key outside `firstKey` to `to`. */
export interface AttentionSpan {
  readonly from: number;
  readonly to: number;
  readonly firstKey: number;
}

/** Adds a block to the graph: flat hidden states in, flat hidden states out. */
export function addBlock(graph: GraphBuilder, x: Value, around: BlockSurroundings): Value {
  const { config, tokens, weight, rotate, mask, spans, onLinear, kept = (x) => x, cached = (_, now) => now } = around;
  const { multiply = float32Linear(graph) } = around;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headSize } = config;
  const size = (...sizes: number[]) => graph.constant("int64", sizes);
  const norm = (x: Value, name: string) => addNorm(graph, config, x, weight(name));
  const linear = (x: Value, name: string) => {
    onLinear?.(name, x);
    return multiply(x, weight(name));
  };
  const headsFirst = (x: Value) => graph.op("Transpose", [x], { perm: [0, 2, 1, 3] });
  const split = (x: Value, count: number) =>
    graph.op("Reshape", [x, graph.op("Concat", [tokens, size(count, headSize)], { axis: 0 })]);

  const attend = (queries: Value, keys: Value, values: Value, mask: Value) => {
    // The query heads that share a key head are stacked below each other: [batch, kv heads, group × tokens, head_dim].
    const stacked = graph.op("Reshape", [queries, size(0, kvHeads, -1, headSize)]);
    const products = graph.op("MatMul", [stacked, graph.op("Transpose", [keys], { perm: [0, 1, 3, 2] })]);
    const shape = graph.op("Concat", [graph.op("Shape", [queries], { start: 0, end: 3 }), size(-1)], { axis: 0 });
    const masked = graph.op("Add", [graph.op("Reshape", [products, shape]), mask]);
    const weights = graph.op("Reshape", [graph.op("Softmax", [masked], { axis: -1 }), graph.op("Shape", [products])]);
    return graph.op("Reshape", [graph.op("MatMul", [weights, values]), graph.op("Shape", [queries])]);
  };

  const attention = (x: Value) => {
    const queries = norm(split(linear(x, "self_attn.q_proj"), heads), "self_attn.q_norm");
    const keys = norm(split(linear(x, "self_attn.k_proj"), kvHeads), "self_attn.k_norm");
    const values = headsFirst(split(linear(x, "self_attn.v_proj"), kvHeads));
    const allKeys = cached("key", rotate(headsFirst(keys)));
    const allValues = cached("value", values);

    const scale = graph.constant("float32", [config.query_pre_attn_scalar ** -0.5], []);
    const rotated = graph.op("Mul", [rotate(headsFirst(queries)), scale]);
    const mixed = spans
      ? graph.op(
          "Concat",
          spans.map(({ from, to, firstKey }) =>
            attend(
              graph.slice(rotated, 2, from, to),
              graph.slice(allKeys, 2, firstKey, to),
              graph.slice(allValues, 2, firstKey, to),
              graph.slice(graph.slice(mask, 2, from, to), 3, firstKey, to),
            ),
          ),
          { axis: 2 },
        )
      : attend(rotated, allKeys, allValues, mask);
    return linear(kept(graph.op("Reshape", [headsFirst(mixed), size(-1, heads * headSize)])), "self_attn.o_proj");
  };

  const mlp = (x: Value) => {
    const gate = graph.op("Gelu", [linear(x, "mlp.gate_proj")], { approximate: "tanh" });
    return linear(graph.op("Mul", [gate, linear(x, "mlp.up_proj")]), "mlp.down_proj");
  };

  const attended = attention(norm(x, "input_layernorm"));
  const middle = graph.op("Add", [kept(x), norm(attended, "post_attention_layernorm")]);
  const transformed = mlp(norm(middle, "pre_feedforward_layernorm"));
  return graph.op("Add", [middle, norm(transformed, "post_feedforward_layernorm")]);
}

/** Linear layers as one product with the checkpoint's weight as it is. */
export function float32Linear(graph: GraphBuilder): Linear {
  return (x, weight) => graph.op("Gemm", [x, weight], { transB: 1 });
}

/** RMSNorm over the last dimension; `weight` is 1 + w. */
export function addNorm(graph: GraphBuilder, config: Gemma3Config, x: Value, weight: Value): Value {
  return graph.op("SimplifiedLayerNormalization", [x, weight], { axis: -1, epsilon: { float: config.rms_norm_eps } });
}

/**
 * Adds the tables of rotary angles and returns how to turn queries or keys by them. `tokens`: int64 `[2]`, batch and tokens;
 * `positionIds`: int64 `[batch, tokens]`.
 */
export function addRotation(
  graph: GraphBuilder,
  config: Gemma3Config,
  tokens: Value,
  positionIds: Value,
): (type: LayerType) => (x: Value) => Value {
  // RotaryEmbedding takes a table of angles and a row of it for each token. Our table has a row per token of the batch, computed here in
  // float32 as transformers does, so that no context length is built in.
  const tokenCount = graph.op("ReduceProd", [tokens], { keepdims: 0 });
  const int = (value: number) => graph.constant("int64", [value], []);
  const tableRows = graph.op("Reshape", [graph.op("Range", [int(0), tokenCount, int(1)]), tokens]);
  const column = graph.constant("int64", [-1, 1]);
  const flatPositions = graph.op("Cast", [graph.op("Reshape", [positionIds, column])], { to: 1 });
  const angles = (base: number, factor: number) => {
    const frequencies = Array.from({ length: config.head_dim / 2 }, (_, i) =>
      Math.fround(1 / (base ** ((2 * i) / config.head_dim) * factor)),
    );
    const angle = graph.op("Mul", [flatPositions, graph.constant("float32", frequencies, [1, config.head_dim / 2])]);
    return [graph.op("Cos", [angle]), graph.op("Sin", [angle])];
  };
  const tables: Record<LayerType, Value[]> = {
    full_attention: angles(config.rope_theta, config.rope_scaling_factor),
    sliding_attention: angles(config.rope_local_base_freq, 1),
  };
  return (type) => (x) => graph.op("RotaryEmbedding", [x, tableRows, ...tables[type]], {}, microsoft);
}

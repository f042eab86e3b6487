/**
 * Gemma 3's text model as an ONNX graph, read top to bottom with the checkpoint's own names.
 * Source: the Gemma 3 report (arXiv 2503.19786) and transformers' `modeling_gemma3.py`.
 *
 * Two graphs come out of it, which share one weights file:
 * - `generate`: ids → logits with a KV cache, in transformers.js' convention of names;
 * - `score`: ids → the log-probability of chosen tokens at chosen positions, so that no `[tokens, vocabulary]` logits exist
 *   outside the positions that are asked for.
 *
 * Between the blocks the hidden states are flat, `[batch × tokens, hidden]`: a linear layer is then one Gemm with the
 * checkpoint's `[out, in]` weight as it is.
 */
import type { Gemma3Config } from "../checkpoint/config.ts";
import { elementCount } from "../checkpoint/tensor.ts";
import { gemma3Tensors } from "../checkpoint/tensor-names.ts";
import { type ExternalWeight, GraphBuilder, microsoft, type Value, type WeightLayout } from "../onnx/graph.ts";

/** The graphs' names for what is masked, cached and rotated differently: layers that see all keys, and those with a window. */
type LayerType = Gemma3Config["layer_types"][number];

/** The file that both graphs expect beside them (or in memory under this name). */
export const weightsFile = "model.onnx_data";

// Each weight starts on a page, so that the file can be mapped into memory.
const pageBytes = 4096;

/** Shapes and places of all weights in the external data file, float32. Norm weights are stored there as 1 + w. */
export function weightLayout(config: Gemma3Config): WeightLayout {
  const layout = new Map<string, ExternalWeight>();
  let offset = 0;
  for (const { name, shape } of gemma3Tensors(config)) {
    layout.set(name, { shape, offset });
    offset += Math.ceil((elementCount(shape) * 4) / pageBytes) * pageBytes;
  }
  return layout;
}

/** The length of the external data file. */
export function weightBytes(layout: WeightLayout): number {
  return Math.max(...[...layout.values()].map(({ shape, offset }) => offset + elementCount(shape) * 4));
}

/**
 * Builds one of the two graphs; the same for every model of a config.
 *
 * `generate`: inputs `input_ids`, `attention_mask`, `position_ids` (int64 `[batch_size, …]`), `num_logits_to_keep` (int64 scalar, 0
 * for all), `past_key_values.N.{key,value}` (float32 `[batch_size, kv heads, past, head_dim]`); outputs `logits`, `present.N.{key,value}`.
 *
 * `score`: inputs `input_ids`, `position_ids` (int64 `[1, tokens]`), `mask.{full,sliding}_attention` (float32 `[1, 1, tokens, past + tokens]`,
 * added to attention's scores; the two layer types may have pasts of different lengths), `positions` (int64 `[rows]`, the tokens to score),
 * `targets` (int64 `[pairs, 2]`: row, token id), `past_key_values.N.{key,value}`; outputs `logprobs` (float32 `[pairs]`, natural logarithm),
 * `greedy` (bool `[pairs]`: no token is likelier), `present.N.{key,value}`.
 */
export function buildGemma3(config: Gemma3Config, kind: "generate" | "score"): Uint8Array {
  const graph = new GraphBuilder(weightLayout(config), weightsFile);
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headSize, hidden_size: hidden } = config;
  const size = (...sizes: number[]) => graph.constant("int64", sizes);
  const scalar = (value: number) => graph.constant("float32", [value], []);

  const linear = (x: Value, name: string) => graph.op("Gemm", [x, graph.weight(`${name}.weight`)], { transB: 1 });
  const norm = (x: Value, name: string) =>
    graph.op("SimplifiedLayerNormalization", [x, graph.weight(`${name}.weight`)], {
      axis: -1,
      epsilon: { float: config.rms_norm_eps },
    });

  const inputIds = graph.input("input_ids", "int64", ["batch_size", "sequence_length"]);
  const positionIds = graph.input("position_ids", "int64", ["batch_size", "sequence_length"]);
  const masks = kind === "score" ? scoreMasks(graph) : generationMasks(graph, config.sliding_window);

  // RotaryEmbedding takes a table of angles and a row of it for each token. Our table has a row per token of the batch, computed here in
  // float32 as transformers does, so that no context length is built in.
  const tokens = graph.op("Shape", [inputIds]);
  const tokenCount = graph.op("ReduceProd", [tokens], { keepdims: 0 });
  const tableRows = graph.op("Reshape", [
    graph.op("Range", [graph.constant("int64", [0], []), tokenCount, graph.constant("int64", [1], [])]),
    tokens,
  ]);
  const flatPositions = graph.op("Cast", [graph.op("Reshape", [positionIds, size(-1, 1)])], { to: 1 });
  const angles = (base: number, factor: number) => {
    const frequencies = Array.from({ length: headSize / 2 }, (_, i) =>
      Math.fround(1 / (base ** ((2 * i) / headSize) * factor)),
    );
    const angle = graph.op("Mul", [flatPositions, graph.constant("float32", frequencies, [1, headSize / 2])]);
    return { cos: graph.op("Cos", [angle]), sin: graph.op("Sin", [angle]) };
  };
  const rope: Record<LayerType, { cos: Value; sin: Value }> = {
    full_attention: angles(config.rope_theta, config.rope_scaling_factor),
    sliding_attention: angles(config.rope_local_base_freq, 1),
  };
  const rotate = (x: Value, { cos, sin }: { cos: Value; sin: Value }) =>
    graph.op("RotaryEmbedding", [x, tableRows, cos, sin], {}, microsoft);
  const headsFirst = (x: Value) => graph.op("Transpose", [x], { perm: [0, 2, 1, 3] });
  const split = (x: Value, count: number) =>
    graph.op("Reshape", [x, graph.op("Concat", [tokens, size(count, headSize)], { axis: 0 })]);

  // What the last block computes after its attention is needed only where something is scored.
  const positions = kind === "score" ? graph.input("positions", "int64", ["rows"]) : undefined;
  const scored = (x: Value, layer: number) =>
    positions && layer === config.num_hidden_layers - 1 ? graph.op("Gather", [x, positions]) : x;

  const attention = (x: Value, layer: number) => {
    const name = `model.layers.${layer}.self_attn`;
    const type = config.layer_types[layer]!;
    const queries = norm(split(linear(x, `${name}.q_proj`), heads), `${name}.q_norm`);
    const keys = norm(split(linear(x, `${name}.k_proj`), kvHeads), `${name}.k_norm`);
    const values = headsFirst(split(linear(x, `${name}.v_proj`), kvHeads));

    const past = kind === "score" ? `past_${type}` : "past_sequence_length";
    const cached = (what: "key" | "value", now: Value) => {
      const before = graph.input(`past_key_values.${layer}.${what}`, "float32", [
        "batch_size",
        kvHeads,
        past,
        headSize,
      ]);
      const all = graph.op("Concat", [before, now], { axis: 2 });
      graph.output(`present.${layer}.${what}`, all, "float32", ["batch_size", kvHeads, `total_${past}`, headSize]);
      return all;
    };
    const allKeys = cached("key", rotate(headsFirst(keys), rope[type]));
    const allValues = cached("value", values);

    // The query heads that share a key head are stacked below each other: [batch, kv heads, group × tokens, head_dim].
    const scale = scalar(config.query_pre_attn_scalar ** -0.5);
    const rotated = graph.op("Mul", [rotate(headsFirst(queries), rope[type]), scale]);
    const stacked = graph.op("Reshape", [rotated, size(0, kvHeads, -1, headSize)]);
    const products = graph.op("MatMul", [stacked, graph.op("Transpose", [allKeys], { perm: [0, 1, 3, 2] })]);
    const shape = graph.op("Concat", [graph.op("Shape", [rotated], { start: 0, end: 3 }), size(-1)], { axis: 0 });
    const masked = graph.op("Add", [graph.op("Reshape", [products, shape]), masks[type]]);
    const weights = graph.op("Reshape", [graph.op("Softmax", [masked], { axis: -1 }), graph.op("Shape", [products])]);
    const mixed = graph.op("Reshape", [graph.op("MatMul", [weights, allValues]), graph.op("Shape", [rotated])]);
    const joined = graph.op("Reshape", [headsFirst(mixed), size(-1, heads * headSize)]);
    return linear(scored(joined, layer), `${name}.o_proj`);
  };

  const mlp = (x: Value, layer: number) => {
    const name = `model.layers.${layer}.mlp`;
    const gate = graph.op("Gelu", [linear(x, `${name}.gate_proj`)], { approximate: "tanh" });
    return linear(graph.op("Mul", [gate, linear(x, `${name}.up_proj`)]), `${name}.down_proj`);
  };

  const block = (x: Value, layer: number) => {
    const name = `model.layers.${layer}`;
    const attended = attention(norm(x, `${name}.input_layernorm`), layer);
    const middle = graph.op("Add", [scored(x, layer), norm(attended, `${name}.post_attention_layernorm`)]);
    const transformed = mlp(norm(middle, `${name}.pre_feedforward_layernorm`), layer);
    return graph.op("Add", [middle, norm(transformed, `${name}.post_feedforward_layernorm`)]);
  };

  const embedding = graph.weight("model.embed_tokens.weight");
  const embedded = graph.op("Gather", [embedding, graph.op("Reshape", [inputIds, size(-1)])]);
  let x = graph.op("Mul", [embedded, scalar(Math.fround(Math.sqrt(hidden)))]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) x = block(x, layer);

  if (kind === "score") scoreHead(graph, config, x, norm);
  else generationHead(graph, config, x, tokens, norm);
  return graph.encode(`gemma3-${kind}`);
}

type Norm = (x: Value, name: string) => Value;

/** Hidden states at the scored positions → log-probabilities of the asked pairs of position and token. */
function scoreHead(graph: GraphBuilder, config: Gemma3Config, x: Value, norm: Norm): void {
  const targets = graph.input("targets", "int64", ["pairs", 2]);
  const logits = graph.op("Gemm", [norm(x, "model.norm"), graph.weight("model.embed_tokens.weight")], { transB: 1 });

  // In two levels: a plain float32 sum over 262,144 values is 2e-4 off, enough to break agreement with lm-eval.
  const [outer, inner] = nearSquare(config.vocab_size);
  const grid = graph.op("Reshape", [logits, graph.constant("int64", [-1, outer, inner])]);
  const peak = graph.op("ReduceMax", [grid, graph.constant("int64", [1, 2])]);
  const inward = graph.op("ReduceSum", [
    graph.op("Exp", [graph.op("Sub", [grid, peak])]),
    graph.constant("int64", [2]),
  ]);
  const sum = graph.op("ReduceSum", [inward, graph.constant("int64", [1])]);
  const flat = (value: Value) => graph.op("Reshape", [value, graph.constant("int64", [-1])]);
  const peaks = flat(peak);
  const normalizer = graph.op("Add", [flat(graph.op("Log", [sum])), peaks]);

  const row = flat(graph.op("Gather", [targets, graph.constant("int64", [0])], { axis: 1 }));
  const logit = graph.op("GatherND", [logits, targets]);
  const logprobs = graph.op("Sub", [logit, graph.op("Gather", [normalizer, row])]);
  graph.output("logprobs", logprobs, "float32", ["pairs"]);
  graph.output("greedy", graph.op("Equal", [logit, graph.op("Gather", [peaks, row])]), "bool", ["pairs"]);
}

/** Hidden states → logits at the last `num_logits_to_keep` positions (0: all). */
function generationHead(graph: GraphBuilder, config: Gemma3Config, x: Value, tokens: Value, norm: Norm): void {
  const keep = graph.input("num_logits_to_keep", "int64", []);
  const hidden = graph.op("Reshape", [x, graph.op("Concat", [tokens, graph.constant("int64", [-1])], { axis: 0 })]);
  const start = graph.op("Reshape", [graph.op("Neg", [keep]), graph.constant("int64", [1])]);
  // A start of -0 is the first position: Slice then keeps all.
  const kept = graph.op("Slice", [
    hidden,
    start,
    graph.constant("int64", [Number.MAX_SAFE_INTEGER]),
    graph.constant("int64", [1]),
  ]);
  const flat = graph.op("Reshape", [norm(kept, "model.norm"), graph.constant("int64", [-1, config.hidden_size])]);
  const logits = graph.op("Gemm", [flat, graph.weight("model.embed_tokens.weight")], { transB: 1 });
  const shape = graph.op("Concat", [graph.op("Shape", [kept], { start: 0, end: 2 }), graph.constant("int64", [-1])], {
    axis: 0,
  });
  graph.output("logits", graph.op("Reshape", [logits, shape]), "float32", ["batch_size", "kept", config.vocab_size]);
}

function scoreMasks(graph: GraphBuilder): Record<LayerType, Value> {
  const mask = (type: LayerType) =>
    graph.input(`mask.${type}`, "float32", ["batch_size", 1, "sequence_length", `total_past_${type}`]);
  return { full_attention: mask("full_attention"), sliding_attention: mask("sliding_attention") };
}

/** Causal masks from transformers' `attention_mask` (1 = a real token, 0 = padding on the left). */
function generationMasks(graph: GraphBuilder, window: number): Record<LayerType, Value> {
  const attentionMask = graph.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
  const int = (value: number) => graph.constant("int64", [value], []);
  const total = graph.op("Gather", [graph.op("Shape", [attentionMask]), int(1)]);
  const length = graph.op("Gather", [graph.op("Shape", ["input_ids"]), int(1)]);
  const column = graph.constant("int64", [-1, 1]);
  const queries = graph.op("Reshape", [graph.op("Range", [graph.op("Sub", [total, length]), total, int(1)]), column]);
  const distance = graph.op("Sub", [queries, graph.op("Range", [int(0), total, int(1)])]);
  const real = graph.op("Unsqueeze", [graph.op("Cast", [attentionMask], { to: 9 }), graph.constant("int64", [1, 2])]);
  const seen = graph.op("And", [graph.op("GreaterOrEqual", [distance, int(0)]), real]);
  const near = graph.op("And", [graph.op("Less", [distance, int(window)]), seen]);
  // Finite, so that a row that sees nothing (padding) gives no NaN.
  const additive = (mask: Value) =>
    graph.op("Where", [mask, graph.constant("float32", [0], []), graph.constant("float32", [-1e9], [])]);
  return { full_attention: additive(seen), sliding_attention: additive(near) };
}

/** Two factors of n as close to each other as can be, the larger first. */
function nearSquare(n: number): [number, number] {
  let factor = Math.floor(Math.sqrt(n));
  while (n % factor !== 0) factor--;
  return [n / factor, factor];
}

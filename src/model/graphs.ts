/** The graphs that run a whole decoder, for generation and for scoring; all share one weights file. */
import type { LayerType, ModelConfig } from "../checkpoint/config.ts";
import { headName } from "../checkpoint/tensor-names.ts";
import { GraphBuilder, type Value, type WeightLayout } from "../onnx/graph.ts";
import { addDecoder, addFinalNorm, addLogits, layerTypesOf, weightLayout, weightsFile } from "./decoder.ts";
import { cacheName } from "./key-value-cache.ts";

/** Which of the graphs. */
export type GraphKind = "generate" | "score" | "score-head";

/**
 * Builds one of the graphs; the same for every model of a config.
 *
 * `generate`, ids → logits with a KV cache, by transformers.js' names: inputs `input_ids`, `attention_mask`, `position_ids` (int64
 * `[batch_size, …]`), `num_logits_to_keep` (int64 scalar, 0 for all), `past_key_values.N.{key,value}` (float32 `[batch_size, kv heads, past,
 * head_dim]`; sliding layers may have a shorter past, the last columns of what the others have); outputs `logits`, `present.N.{key,value}`.
 *
 * `score`, ids → hidden states at the positions that are asked for: inputs `input_ids`, `position_ids` (int64 `[1, tokens]`), a
 * `mask.{full,sliding}_attention` for each layer type that there is (float32 `[1, 1, tokens, past + tokens]`, added to attention's scores; the
 * two may have pasts of different lengths), `positions` (int64 `[rows]`, the tokens to score), `past_key_values.N.{key,value}`; outputs `hidden`
 * (float32 `[rows, hidden]`, before the last norm), `present.N.{key,value}`.
 *
 * `score-head`, these hidden states → log-probabilities of chosen tokens, so that no `[tokens, vocabulary]` logits exist outside those positions,
 * and the head, which reads all of its weight however few they are, runs once for the positions of many texts: inputs `hidden`, `targets` (int64
 * `[pairs, 2]`: row, token id); outputs `logprobs` (float32 `[pairs]`, natural logarithm), `greedy` (bool `[pairs]`: no token is likelier).
 */
export function buildGraph(config: ModelConfig, kind: GraphKind): Uint8Array {
  const weights = weightLayout(config);
  const graph = new GraphBuilder(new Map([...weights, ...headLayout(config, weights)]), weightsFile);
  if (kind === "score-head") {
    const x = addFinalNorm(graph, config, graph.input("hidden", "float32", ["rows", config.hidden_size]));
    addScoreHead(graph, config, x, graph.input("targets", "int64", ["pairs", 2]));
    return graph.encode(`${config.model_type}-${kind}`);
  }
  if (kind === "generate") {
    addGeneration(graph, config);
    return graph.encode(`${config.model_type}-${kind}`);
  }
  const { inputIds, positionIds } = addIds(graph);
  const mask = (type: LayerType) =>
    graph.input(`mask.${type}`, "float32", ["batch_size", 1, "sequence_length", `total_past_${type}`]);
  const cached = cacheOf(graph, config, (type) => `past_${type}`);
  const masks = Object.fromEntries(layerTypesOf(config).map((type) => [type, mask(type)]));
  // What the last block computes after its attention is needed only where something is scored.
  const positions = graph.input("positions", "int64", ["rows"]);
  const kept = (x: Value) => graph.op("Gather", [x, positions]);
  const x = addDecoder(graph, config, { inputIds, positionIds, masks, cached, kept });
  graph.output("hidden", x, "float32", ["rows", config.hidden_size]);
  return graph.encode(`${config.model_type}-${kind}`);
}

/** Adds all of the graph `generate`, see {@link buildGraph}; its keys and values may be kept in float16. */
export function addGeneration(graph: GraphBuilder, config: ModelConfig, cacheType: CacheType = "float32"): void {
  const { inputIds, positionIds } = addIds(graph);
  // Sliding layers may have a shorter past. transformers.js gives all the same one.
  const cached = cacheOf(graph, config, () => "past_sequence_length", cacheType);
  const masks = addCausalMasks(graph, config, inputIds);
  const x = addDecoder(graph, config, { inputIds, positionIds, masks, cached });
  addGenerationHead(graph, config, x, inputIds);
}

/** What the keys and values between two runs are held in. */
export type CacheType = "float32" | "float16";

function addIds(graph: GraphBuilder): { inputIds: Value; positionIds: Value } {
  const ids = (name: string) => graph.input(name, "int64", ["batch_size", "sequence_length"]);
  return { inputIds: ids("input_ids"), positionIds: ids("position_ids") };
}

/** Puts the keys and values of a run after those before it, which are inputs, and makes all of them outputs. */
function cacheOf(
  graph: GraphBuilder,
  config: ModelConfig,
  pastOf: (type: LayerType) => string,
  type: CacheType = "float32",
): (layer: number, what: "key" | "value", now: Value) => Value {
  const shape = (columns: string) => ["batch_size", config.num_key_value_heads, columns, config.head_dim];
  return (layer, what, now) => {
    const columns = pastOf(config.layer_types[layer]!);
    const { past, present } = cacheName(layer, what);
    const before = graph.input(past, type, shape(columns));
    const own = type === "float32" ? now : graph.cast(now, type);
    const all = graph.concat([before, own], 2);
    graph.output(present, all, type, shape(`total_${columns}`));
    return type === "float32" ? all : graph.cast(all, "float32");
  };
}

/** Causal masks from transformers' `attention_mask` (1 = a real token, 0 = padding on the left). */
function addCausalMasks(graph: GraphBuilder, config: ModelConfig, inputIds: Value): Partial<Record<LayerType, Value>> {
  const attentionMask = graph.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
  const columns = (x: Value) => graph.op("Gather", [graph.op("Shape", [x]), graph.int(1)]);
  const total = columns(attentionMask);
  const range = (from: Value) => graph.op("Range", [from, total, graph.int(1)]);
  const queries = graph.reshape(range(graph.op("Sub", [total, columns(inputIds)])), -1, 1);
  const distance = graph.op("Sub", [queries, range(graph.int(0))]);
  const real = graph.op("Unsqueeze", [graph.op("Cast", [attentionMask], { to: 9 }), graph.ints(1, 2)]);
  const seen = graph.op("And", [graph.op("GreaterOrEqual", [distance, graph.int(0)]), real]);
  const near = graph.op("And", [graph.op("Less", [distance, graph.int(config.sliding_window ?? 0)]), seen]);
  // Finite, so that a row that sees nothing (padding) gives no NaN.
  const additive = (mask: Value) => graph.op("Where", [mask, graph.float(0), graph.float(-1e9)]);
  const firstSliding = config.layer_types.indexOf("sliding_attention");
  if (firstSliding < 0) return { full_attention: additive(seen) };
  const past = graph.op("Shape", [cacheName(firstSliding, "key").past], { start: 2, end: 3 });
  const start = graph.op("Neg", [graph.op("Add", [past, columns(inputIds)])]);
  const inPast = graph.op("Slice", [near, start, graph.ints(Number.MAX_SAFE_INTEGER), graph.ints(3)]);
  return { full_attention: additive(seen), sliding_attention: additive(inPast) };
}

/** Hidden states → logits at the last `num_logits_to_keep` positions (0: all). */
function addGenerationHead(graph: GraphBuilder, config: ModelConfig, x: Value, inputIds: Value): void {
  const keep = graph.input("num_logits_to_keep", "int64", []);
  const hidden = graph.reshape(x, graph.op("Shape", [inputIds]), -1);
  const start = graph.reshape(graph.op("Neg", [keep]), 1);
  // A start of -0 is the first position: Slice then keeps all.
  const kept = graph.op("Slice", [hidden, start, graph.ints(Number.MAX_SAFE_INTEGER), graph.ints(1)]);
  const flat = graph.reshape(addFinalNorm(graph, config, kept), -1, config.hidden_size);
  const shape = graph.op("Shape", [kept], { start: 0, end: 2 });
  const logits = graph.reshape(addLogits(graph, config, flat), shape, -1);
  graph.output("logits", logits, "float32", ["batch_size", "kept", config.vocab_size]);
}

/** A run of token ids, `to` exclusive. */
interface Part {
  readonly from: number;
  readonly to: number;
  /** The name of the head's rows for them. */
  readonly weight: string;
}

// The logits of a part, for some hundred positions, stay in the processor's cache, where those of the whole vocabulary would not.
const partTokens = 16384;

/** The vocabulary in parts. */
function headParts(config: ModelConfig): Part[] {
  return Array.from({ length: Math.ceil(config.vocab_size / partTokens) }, (_, part) => {
    const from = part * partTokens;
    const to = Math.min(from + partTokens, config.vocab_size);
    return { from, to, weight: `${headName(config)}[${from}:${to}]` };
  });
}

/** The parts of the head's weight that scoring reads, which lie within it. */
function headLayout(config: ModelConfig, weights: WeightLayout): WeightLayout {
  const { offset } = weights.get(headName(config))!;
  const rowBytes = config.hidden_size * 4;
  return new Map(
    headParts(config).map(({ from, to, weight }) => [
      weight,
      { shape: [to - from, config.hidden_size], offset: offset + from * rowBytes },
    ]),
  );
}

/** Normed hidden states at the scored positions, and pairs of row and token id → the outputs of `score-head`, a part of the vocabulary at a time. */
function addScoreHead(graph: GraphBuilder, config: ModelConfig, x: Value, targets: Value): void {
  const column = (index: number) => graph.op("Gather", [targets, graph.int(index)], { axis: 1 });
  const [row, token] = [column(0), column(1)];
  const peaks: Value[] = [];
  const sums: Value[] = [];
  let logit = graph.op("Cast", [graph.op("Mul", [row, graph.int(0)])], { to: 1 });

  for (const { from, to, weight } of headParts(config)) {
    const logits = addLogits(graph, config, x, graph.weight(weight));
    // In two levels: a plain float32 sum over 262,144 values is 2e-4 off, enough to break agreement with lm-eval.
    const [outer, inner] = nearSquare(to - from);
    const grid = graph.reshape(logits, -1, outer, inner);
    const peak = graph.op("ReduceMax", [grid, graph.ints(1, 2)]);
    const inward = graph.op("ReduceSum", [graph.op("Exp", [graph.op("Sub", [grid, peak])]), graph.ints(2)]);
    sums.push(graph.reshape(graph.op("ReduceSum", [inward, graph.ints(1)]), -1, 1));
    peaks.push(graph.reshape(peak, -1, 1));

    const own = graph.op("Sub", [token, graph.int(from)]);
    const isHere = graph.op("And", [
      graph.op("GreaterOrEqual", [own, graph.int(0)]),
      graph.op("Less", [own, graph.int(to - from)]),
    ]);
    const place = graph.op("Where", [isHere, own, graph.int(0)]);
    const unsqueezed = [row, place].map((value) => graph.op("Unsqueeze", [value, graph.ints(1)]));
    const found = graph.op("GatherND", [logits, graph.concat(unsqueezed, 1)]);
    logit = graph.op("Where", [isHere, found, logit]);
  }

  const allPeaks = graph.concat(peaks, 1);
  const peak = graph.op("ReduceMax", [allPeaks, graph.ints(1)]);
  const shares = graph.op("Mul", [graph.concat(sums, 1), graph.op("Exp", [graph.op("Sub", [allPeaks, peak])])]);
  const total = graph.op("ReduceSum", [shares, graph.ints(1)]);
  const normalizer = graph.reshape(graph.op("Add", [graph.op("Log", [total]), peak]), -1);
  const logprobs = graph.op("Sub", [logit, graph.op("Gather", [normalizer, row])]);
  graph.output("logprobs", logprobs, "float32", ["pairs"]);
  const highest = graph.op("Gather", [graph.reshape(peak, -1), row]);
  graph.output("greedy", graph.op("Equal", [logit, highest]), "bool", ["pairs"]);
}

/** Two factors of n as close to each other as can be, the larger first. */
function nearSquare(n: number): [number, number] {
  let factor = Math.floor(Math.sqrt(n));
  while (n % factor !== 0) factor--;
  return [n / factor, factor];
}

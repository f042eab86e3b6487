/**
 * Gemma 3's text model as an ONNX graph: embedding, blocks (gemma3-block.ts), head.
 * Source: the Gemma 3 report (arXiv 2503.19786) and transformers' `modeling_gemma3.py`.
 *
 * Three graphs come out of it, which share one weights file:
 * - `generate`: ids → logits with a KV cache, in transformers.js' convention of names;
 * - `score`: ids → hidden states at the positions that are asked for;
 * - `score-head`: these hidden states → the log-probability of chosen tokens, so that no `[tokens, vocabulary]` logits exist outside
 *   those positions, and the head, which reads 671 MB however few they are, runs once for the positions of many texts.
 */
import type { Gemma3Config, LayerType } from "../checkpoint/config.ts";
import { gemma3Tensors } from "../checkpoint/tensor-names.ts";
import {
  bytesOfWeight,
  type ExternalWeight,
  GraphBuilder,
  placeWeights,
  type Value,
  type WeightLayout,
} from "../onnx/graph.ts";
import { addBlock, addNorm, addRotation, float32Linear } from "./gemma3-block.ts";
import { int8Linear } from "./int8-linear.ts";
import { int8Layout } from "./int8-weights.ts";
import { addScoreHead, headParts } from "./score-head.ts";

/** The file that the graphs expect beside them (or in memory under this name). */
export const weightsFile = "model.onnx_data";

/** Shapes and places of all weights in the external data file, float32. Norm weights are stored there as 1 + w. */
export function weightLayout(config: Gemma3Config): WeightLayout {
  return placeWeights(gemma3Tensors(config).map(({ name, shape }) => ({ name, shape })));
}

/** The parts of the embedding that the scoring head reads, which lie within it. */
function headLayout(config: Gemma3Config, { offset }: ExternalWeight): WeightLayout {
  const rowBytes = config.hidden_size * 4;
  return new Map(
    headParts(config).map(({ from, to, weight }) => [
      weight,
      { shape: [to - from, config.hidden_size], offset: offset + from * rowBytes },
    ]),
  );
}

/** The length of the external data file. */
export function weightBytes(layout: WeightLayout): number {
  return Math.max(...[...layout.values()].map((weight) => weight.offset + bytesOfWeight(weight)));
}

/** Which of the graphs. */
export type Gemma3Graph = "generate" | "score" | "score-head";

/** What linear layers and the scoring head compute in. In int8, the weights of int8-weights.ts lie beside the others. */
export const precisions = ["float32", "int8"] as const;
export type Precision = (typeof precisions)[number];

/**
 * Builds one of the graphs; the same for every model of a config.
 *
 * `generate`: inputs `input_ids`, `attention_mask`, `position_ids` (int64 `[batch_size, …]`), `num_logits_to_keep` (int64 scalar, 0
 * for all), `past_key_values.N.{key,value}` (float32 `[batch_size, kv heads, past, head_dim]`); outputs `logits`, `present.N.{key,value}`.
 *
 * `score`: inputs `input_ids`, `position_ids` (int64 `[1, tokens]`), `mask.{full,sliding}_attention` (float32 `[1, 1, tokens, past + tokens]`,
 * added to attention's scores; the two layer types may have pasts of different lengths), `positions` (int64 `[rows]`, the tokens to score),
 * `past_key_values.N.{key,value}`; outputs `hidden` (float32 `[rows, hidden]`, before the last norm), `present.N.{key,value}`.
 *
 * `score-head`: inputs `hidden` (as above), `targets` (int64 `[pairs, 2]`: row, token id); outputs `logprobs` (float32 `[pairs]`, natural
 * logarithm), `greedy` (bool `[pairs]`: no token is likelier).
 */
export function buildGemma3(config: Gemma3Config, kind: Gemma3Graph, precision: Precision = "float32"): Uint8Array {
  const weights = weightLayout(config);
  const head = headLayout(config, weights.get("model.embed_tokens.weight")!);
  const int8 = precision === "int8" ? int8Layout(config) : undefined;
  const graph = new GraphBuilder(new Map([...weights, ...head, ...(int8 ?? [])]), weightsFile);
  const multiply = int8 ? int8Linear(graph, int8) : float32Linear(graph);
  const norm = (x: Value) => addNorm(graph, config, x, graph.weight("model.norm.weight"));
  if (kind === "score-head") {
    const x = norm(graph.input("hidden", "float32", ["rows", config.hidden_size]));
    addScoreHead(graph, config, { multiply, x, targets: graph.input("targets", "int64", ["pairs", 2]) });
    return graph.encode(`gemma3-${kind}`);
  }
  const inputIds = graph.input("input_ids", "int64", ["batch_size", "sequence_length"]);
  const positionIds = graph.input("position_ids", "int64", ["batch_size", "sequence_length"]);
  const masks = kind === "score" ? scoreMasks(graph) : generationMasks(graph, config.sliding_window);

  const tokens = graph.op("Shape", [inputIds]);
  const rotation = addRotation(graph, config, tokens, positionIds);

  // What the last block computes after its attention is needed only where something is scored.
  const positions = kind === "score" ? graph.input("positions", "int64", ["rows"]) : undefined;
  const block = (x: Value, layer: number) => {
    const type = config.layer_types[layer]!;
    const past = kind === "score" ? `past_${type}` : "past_sequence_length";
    const cached = (what: "key" | "value", now: Value) => {
      const shape = (columns: string) => ["batch_size", config.num_key_value_heads, columns, config.head_dim];
      const before = graph.input(`past_key_values.${layer}.${what}`, "float32", shape(past));
      const all = graph.op("Concat", [before, now], { axis: 2 });
      graph.output(`present.${layer}.${what}`, all, "float32", shape(`total_${past}`));
      return all;
    };
    return addBlock(graph, x, {
      config,
      tokens,
      weight: (name) => graph.weight(`model.layers.${layer}.${name}.weight`),
      rotate: rotation(type),
      mask: masks[type],
      cached,
      multiply,
      ...(positions && layer === config.num_hidden_layers - 1
        ? { kept: (x: Value) => graph.op("Gather", [x, positions]) }
        : {}),
    });
  };

  const embedding = graph.weight("model.embed_tokens.weight");
  const embedded = graph.op("Gather", [embedding, graph.op("Reshape", [inputIds, graph.constant("int64", [-1])])]);
  let x = graph.op("Mul", [embedded, graph.constant("float32", [embeddingScale(config)], [])]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) x = block(x, layer);

  if (kind === "score") graph.output("hidden", x, "float32", ["rows", config.hidden_size]);
  else generationHead(graph, config, x, tokens, norm);
  return graph.encode(`gemma3-${kind}`);
}

type Norm = (x: Value) => Value;

/** What embeddings are multiplied by before the first block. */
export function embeddingScale(config: Gemma3Config): number {
  return Math.fround(Math.sqrt(config.hidden_size));
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
  const flat = graph.op("Reshape", [norm(kept), graph.constant("int64", [-1, config.hidden_size])]);
  const logits = float32Linear(graph)(flat, graph.weight("model.embed_tokens.weight"));
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

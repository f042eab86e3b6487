/** The graphs that train one block: forward, backward from its output's gradient, and both at once towards another model's output. */
import type { LayerType, ModelConfig } from "../checkpoint/config.ts";
import { familyOf } from "../checkpoint/families.ts";
import { blockTensors } from "../checkpoint/tensor-names.ts";
import { type AttentionSpan, addBlock, addNorm, addRotation, windowOf } from "../model/decoder.ts";
import { type Dimension, GraphBuilder, type Value } from "../onnx/graph.ts";
import { addGradients } from "./gradients.ts";

/** Low-rank updates of linear layers (Hu et al. 2021, arXiv 2106.09685), by PEFT's names. */
export interface LoraConfig {
  readonly r: number;
  readonly lora_alpha: number;
  readonly lora_dropout: number;
  /** Linear layers by the last part of their names, e.g. `"q_proj"`. */
  readonly target_modules: readonly string[];
  /** Whether the update is (B·A)∘M with the mask M of weights that are not zero (MaskLoRA: Zimmer et al. 2023, arXiv 2312.15230). */
  readonly masked: boolean;
}

/** What is trained in a block. */
export interface BlockTraining {
  /** Names within the block, or of LoRA's matrices. */
  readonly trained: readonly string[];
  readonly lora?: LoraConfig;
}

// Shorter spans skip more keys, and make smaller products.
const spanTokens = 128;

/** The linear layers of a block, by their names within it, `[out, in]`. */
export function linearLayers(
  config: ModelConfig,
): { readonly name: string; readonly out: number; readonly in: number }[] {
  return blockTensors(config)
    .filter(({ shape }) => shape.length === 2)
    .map(({ name, shape }) => ({ name: name.slice(0, -".weight".length), out: shape[0]!, in: shape[1]! }));
}

/** The linear layers that LoRA's targets name. */
export function loraTargets(
  config: ModelConfig,
  { target_modules }: Pick<LoraConfig, "target_modules">,
): ReturnType<typeof linearLayers> {
  return linearLayers(config).filter(({ name }) =>
    target_modules.some((target) => name === target || name.endsWith(`.${target}`)),
  );
}

/** Names of LoRA's two matrices of a linear layer, A `[r, in]` and B `[out, r]`. */
export function loraNames(linear: string): { readonly a: string; readonly b: string } {
  return { a: `${linear}.lora_A.weight`, b: `${linear}.lora_B.weight` };
}

/**
 * `forward`: inputs `hidden` (float32 `[windows, tokens, hidden]`), `position_ids` (int64 `[windows, tokens]`), `mask` (float32 `[1, 1, tokens,
 * tokens]`), the block's tensors, LoRA's matrices, and `dropout.…` (float32 `[rows, in]`, 0 or 1 / (1 − rate)) for each of its linear layers;
 * outputs `hidden_out` (`[rows, hidden]`) and `saved.…`, the products that are not worth computing again.
 *
 * `backward`: the same inputs, `saved.…` as inputs by the names in `saved`, and `gradient` (`[rows, hidden]`); outputs `gradient.hidden` and
 * `gradient.…` of what is trained.
 */
export function buildBlockTraining(
  config: ModelConfig,
  type: LayerType,
  tokens: number,
  training: BlockTraining,
): { forward: Uint8Array; backward: Uint8Array; saved: readonly Value[] } {
  const { graph, hidden, out } = addTrainedBlock(config, type, tokens, training);
  const size = config.hidden_size;
  const saved = graph.nodes.filter((node) => node.type === "Gemm").map(({ outputs }) => outputs[0]!);
  graph.output("hidden_out", out, "float32", ["rows", size]);
  for (const value of saved) graph.output(`saved.${value}`, value, "float32", ["rows", `columns.${value}`]);
  const seed = graph.input("gradient", "float32", ["rows", size]);
  const gradients = addGradients(graph, new Map([[out, seed]]), [hidden, ...training.trained]);
  for (const [value, gradient] of gradients) graph.output(`gradient.${value}`, gradient, "float32", ["…"]);
  const given = new Map<Value, readonly Dimension[]>(saved.map((value) => [value, ["rows", `columns.${value}`]]));
  return {
    forward: graph.encode("forward", { outputs: ["hidden_out", ...saved.map((value) => `saved.${value}`)] }),
    backward: graph.encode("backward", { outputs: [...gradients.keys()].map((value) => `gradient.${value}`), given }),
    saved,
  };
}

/**
 * `fit`, the graph that fits a block: the inputs of `forward`, `target` (`[rows, hidden]`: another model's hidden states behind the norm that follows),
 * `next_norm` (that norm's weight, where the family has one) and `scale`; outputs `error` (Σ (y − target)², `[1]`) and `gradient.…` of what is
 * trained, of error times `scale` / 2. `measure` gives the error alone: ONNX Runtime runs all of a graph, whatever is asked of it.
 */
export function buildBlockFit(
  config: ModelConfig,
  type: LayerType,
  tokens: number,
  training: BlockTraining,
): { fit: Uint8Array; measure: Uint8Array } {
  const { graph, out } = addTrainedBlock(config, type, tokens, training);
  const size = config.hidden_size;
  const y = hasNextNorm(config) ? addNorm(graph, config, out, graph.input("next_norm", "float32", [size])) : out;
  const difference = graph.op("Sub", [y, graph.input("target", "float32", ["rows", size])]);
  graph.output("error", graph.reshape(graph.op("ReduceSumSquare", [graph.reshape(difference, -1)]), 1), "float32", [1]);
  const seed = graph.op("Mul", [difference, graph.input("scale", "float32", [])]);
  const gradients = addGradients(graph, new Map([[y, seed]]), training.trained);
  for (const [value, gradient] of gradients) graph.output(`gradient.${value}`, gradient, "float32", ["…"]);
  return { fit: graph.encode("fit"), measure: graph.encode("measure", { outputs: ["error"] }) };
}

/** Whether a norm stands before the next block's attention. */
export function hasNextNorm(config: ModelConfig): boolean {
  return familyOf(config).norms.beforeAttention !== undefined;
}

function addTrainedBlock(config: ModelConfig, type: LayerType, tokens: number, { lora }: BlockTraining) {
  const graph = new GraphBuilder(new Map(), "");
  const hidden = graph.input("hidden", "float32", ["windows", tokens, config.hidden_size]);
  const positionIds = graph.input("position_ids", "int64", ["windows", tokens]);
  const shape = graph.op("Shape", [positionIds]);
  for (const { name, shape } of blockTensors(config)) graph.input(name, "float32", shape);
  const targets = new Map(lora ? loraTargets(config, lora).map((target) => [target.name, target]) : []);
  const scale = lora ? lora.lora_alpha / lora.r : 0;
  const factors = (linear: string) => {
    const { out, in: columns } = targets.get(linear)!;
    const { a, b } = loraNames(linear);
    return [graph.input(a, "float32", [lora!.r, columns]), graph.input(b, "float32", [out, lora!.r])] as const;
  };
  const out = addBlock(graph, graph.reshape(hidden, -1, config.hidden_size), {
    config,
    tokens: shape,
    weight: (name) => {
      const linear = name.replace(/\.weight$/, "");
      if (!lora?.masked || !targets.has(linear)) return name;
      const [a, b] = factors(linear);
      // Casting to bool and back: 1 where a weight is not zero.
      const mask = graph.op("Cast", [graph.op("Cast", [name], { to: 9 })], { to: 1 });
      const update = graph.op("Mul", [graph.op("MatMul", [b, a]), graph.op("Mul", [mask, graph.float(scale)])]);
      return graph.op("Add", [name, update]);
    },
    rotate: addRotation(graph, config, shape, positionIds)(type),
    mask: graph.input("mask", "float32", [1, 1, tokens, tokens]),
    spans: causalSpans(tokens, windowOf(config, type) ?? tokens),
    linear: (name, input, output) => {
      const target = targets.get(name);
      if (!target || lora!.masked) return output;
      const [a, b] = factors(name);
      const x =
        lora!.lora_dropout > 0
          ? graph.op("Mul", [input, graph.input(`dropout.${name}`, "float32", ["rows", target.in])])
          : input;
      const update = graph.op("Gemm", [graph.op("Gemm", [x, a], { transB: 1 }), b], { transB: 1 });
      return graph.op("Add", [output, graph.op("Mul", [update, graph.float(scale)])]);
    },
  });
  return { graph, hidden, out };
}

/** The window cut into spans that leave out most of the keys that causal attention would mask. */
function causalSpans(tokens: number, window: number): AttentionSpan[] {
  return Array.from({ length: Math.ceil(tokens / spanTokens) }, (_, index) => {
    const from = index * spanTokens;
    return { from, to: Math.min(tokens, from + spanTokens), firstKey: Math.max(0, from - window + 1) };
  });
}

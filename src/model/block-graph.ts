/** The graph of one block whose weights are inputs, and what calibration asks of it: its linear layers' inputs and their statistics. */
import type { LayerType, ModelConfig } from "../checkpoint/config.ts";
import { blockTensors } from "../checkpoint/tensor-names.ts";
import { GraphBuilder, type Value } from "../onnx/graph.ts";
import { type AttentionSpan, addBlock, addRotation, windowOf } from "./decoder.ts";

// Shorter spans skip more keys, and make smaller matrix products; so do narrower panels of a Gram matrix.
const spanTokens = 64;
const panelColumns = 256;

/** The linear layers of a block, grouped by their common input; each input goes by its first layer's name. */
export const linearInputs = {
  "self_attn.q_proj": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
  "self_attn.o_proj": ["self_attn.o_proj"],
  "mlp.gate_proj": ["mlp.gate_proj", "mlp.up_proj"],
  "mlp.down_proj": ["mlp.down_proj"],
} as const;
export type LinearInput = keyof typeof linearInputs;

/**
 * `hidden_out`: what the block passes on; `input.…`: a linear layer's input x; `sums.…`, `squares.…`: over tokens, of x and x²; `gram.…`: of
 * x xᵀ, the lower triangle alone.
 */
export type BlockOutput = "hidden_out" | `${"input" | "sums" | "squares" | "gram"}.${LinearInput}`;

/**
 * Builds the graph of one block, the same for all blocks of its type, for windows of `tokens` tokens. Inputs: `hidden` (float32
 * `[batch, tokens, hidden]`), `position_ids` (int64 `[batch, tokens]`), `mask` (float32 `[1, 1, tokens, tokens]`, added to attention's
 * scores), and the block's tensors by their names within it (`self_attn.q_proj.weight`; norm weights as what they multiply by). Outputs: those asked for, all
 * float32: `hidden_out` `[batch, tokens, hidden]`, `input.…` `[batch × tokens, in]`, `sums.…` and `squares.…` `[in]`, `gram.…` `[in, in]`. Only
 * the inputs that they need are there. `skipFirst` leaves each window's first token out of all but `hidden_out`.
 */
export function buildBlockGraph(
  config: ModelConfig,
  type: LayerType,
  tokens: number,
  outputs: readonly BlockOutput[],
  { skipFirst = false, inFloat64 = false }: { readonly skipFirst?: boolean; readonly inFloat64?: boolean } = {},
): Uint8Array {
  const graph = new GraphBuilder(new Map(), "");
  const hidden = graph.input("hidden", "float32", ["batch_size", tokens, config.hidden_size]);
  const positionIds = graph.input("position_ids", "int64", ["batch_size", tokens]);
  const shape = graph.op("Shape", [positionIds]);
  for (const { name, shape } of blockTensors(config)) graph.input(name, "float32", shape);
  const observed = (x: Value, columns: number) => {
    if (!skipFirst) return x;
    return graph.reshape(graph.slice(graph.reshape(x, shape, columns), 1, 1), -1, columns);
  };
  const sum = (x: Value) => graph.op("ReduceSum", [x, graph.ints(0)], { keepdims: 0 });
  const out = addBlock(graph, graph.reshape(hidden, -1, config.hidden_size), {
    config,
    tokens: shape,
    weight: (name) => name,
    rotate: addRotation(graph, config, shape, positionIds, { inFloat64 })(type),
    mask: graph.input("mask", "float32", [1, 1, tokens, tokens]),
    spans: causalSpans(tokens, windowOf(config, type) ?? tokens),
    linear: (name, x, y) => {
      const wanted = outputs.filter((output) => output.endsWith(`.${name}`));
      if (wanted.length === 0) return y;
      const columns = inputColumns(config, name);
      const seen = observed(x, columns);
      for (const output of wanted) {
        if (output.startsWith("input.")) graph.output(output, seen, "float32", ["rows", columns]);
        if (output.startsWith("sums.")) graph.output(output, sum(seen), "float32", [columns]);
        // Not ReduceSumSquare, which takes over twice as long along the first dimension.
        if (output.startsWith("squares.")) {
          graph.output(output, sum(graph.op("Mul", [seen, seen])), "float32", [columns]);
        }
        if (output.startsWith("gram."))
          graph.output(output, addGram(graph, seen, columns), "float32", [columns, columns]);
      }
      return y;
    },
  });
  if (outputs.includes("hidden_out")) {
    graph.output("hidden_out", graph.reshape(out, shape, -1), "float32", ["batch_size", tokens, config.hidden_size]);
  }
  return graph.encode(`${config.model_type}-block-${type}`);
}

/** Columns of a linear layer's weight, by the layer's name within its block. */
export function inputColumns(config: ModelConfig, linear: string): number {
  if (linear === "self_attn.o_proj") return config.num_attention_heads * config.head_dim;
  return linear === "mlp.down_proj" ? config.intermediate_size : config.hidden_size;
}

/** The window cut into spans that leave out most of the keys that causal attention would mask. */
function causalSpans(tokens: number, window: number): AttentionSpan[] {
  return Array.from({ length: Math.ceil(tokens / spanTokens) }, (_, index) => {
    const from = index * spanTokens;
    return { from, to: Math.min(tokens, from + spanTokens), firstKey: Math.max(0, from - window + 1) };
  });
}

/** xᵀ x of `x` `[rows, columns]` in panels of rows, each as far as its last diagonal element; zeros fill what is left. */
function addGram(graph: GraphBuilder, x: Value, columns: number): Value {
  const transposed = graph.transpose(x, 1, 0);
  const panels: Value[] = [];
  for (let from = 0; from < columns; from += panelColumns) {
    const to = Math.min(columns, from + panelColumns);
    const panel = graph.op("Gemm", [graph.slice(transposed, 0, from, to), graph.slice(transposed, 0, 0, to)], {
      transB: 1,
    });
    panels.push(graph.op("Pad", [panel, graph.ints(0, 0, 0, columns - to)]));
  }
  return graph.concat(panels, 0);
}

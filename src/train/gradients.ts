/** Reverse-mode differentiation of a graph: one rule per operator, whose gradients are more operators of the same graph. */
import { type GraphBuilder, microsoft, type Node, type Value } from "../onnx/graph.ts";

/**
 * Gives the gradient of each of a node's inputs that `wants` asks for, from the gradient `g` of its first output. Shapes are known only when the
 * graph runs, so a rule takes them from the values themselves.
 */
type Rule = (context: RuleContext) => readonly (Value | undefined)[];

interface RuleContext {
  readonly graph: GraphBuilder;
  readonly node: Node;
  readonly g: Value;
  readonly wants: (input: number) => boolean;
}

/**
 * Adds the gradients of a sum Σ g·y to the graph, by reverse accumulation.
 *
 * @param seeds The gradient g of each value y that the sum is made of, of y's shape.
 * @param wrt Inputs, weights or values in between, whose gradients are wanted.
 * @returns The gradient of each of `wrt` that the sum depends on, of its shape.
 */
export function addGradients(
  graph: GraphBuilder,
  seeds: ReadonlyMap<Value, Value>,
  wrt: readonly Value[],
): Map<Value, Value> {
  const nodes = [...graph.nodes];
  const active = new Set(wrt);
  for (const { inputs, outputs } of nodes) {
    if (inputs.some((input) => active.has(input))) for (const output of outputs) active.add(output);
  }
  const gradients = new Map(seeds);
  for (const node of nodes.toReversed()) {
    const g = gradients.get(node.outputs[0]!);
    if (g === undefined || !node.inputs.some((input) => active.has(input))) continue;
    const rule = rules[node.type];
    if (!rule) throw new Error(`internal: no gradient rule for the operator ${node.type}`);
    const parts = rule({ graph, node, g, wants: (input) => active.has(node.inputs[input] ?? "") });
    for (const [index, part] of parts.entries()) {
      const input = node.inputs[index]!;
      if (part === undefined || !active.has(input)) continue;
      const before = gradients.get(input);
      gradients.set(input, before === undefined ? part : graph.op("Add", [before, part]));
    }
  }
  return new Map(wrt.flatMap((value) => (gradients.has(value) ? [[value, gradients.get(value)!]] : [])));
}

const sameShape: Readonly<Record<string, Rule>> = {
  // The operands have one shape, or the other one is a constant that is spread over it: nothing is summed over.
  Add: ({ g }) => [g, g],
  Sub: ({ graph, g, wants }) => [g, wants(1) ? graph.op("Neg", [g]) : undefined],
  Mul: ({ graph, node: { inputs }, g, wants }) => [
    wants(0) ? graph.op("Mul", [g, inputs[1]!]) : undefined,
    wants(1) ? graph.op("Mul", [g, inputs[0]!]) : undefined,
  ],
  Div: ({ graph, node: { inputs }, g, wants }) => {
    if (wants(1)) throw new Error("internal: no gradient rule for a divisor");
    return [graph.op("Div", [g, inputs[1]!])];
  },
  Sigmoid: ({ graph, node: { outputs }, g }) => {
    const rest = graph.op("Sub", [scalar(graph, 1), outputs[0]!]);
    return [graph.op("Mul", [g, graph.op("Mul", [outputs[0]!, rest])])];
  },
  Tanh: ({ graph, node: { outputs }, g }) => {
    const square = graph.op("Mul", [outputs[0]!, outputs[0]!]);
    return [graph.op("Mul", [g, graph.op("Sub", [scalar(graph, 1), square])])];
  },
  /** x σ(2u) with u = √(2/π) (x + 0.044715 x³): σ + x σ (1 − σ) · 2u′. */
  Gelu: ({ graph, node: { inputs, attributes }, g }) => {
    if (attributes.approximate !== "tanh") throw new Error("internal: no gradient rule for the exact Gelu");
    const [x] = inputs as [Value];
    const slope = 2 * Math.sqrt(2 / Math.PI);
    const square = graph.op("Mul", [x, x]);
    const inner = (bend: number) =>
      graph.op("Mul", [
        x,
        graph.op("Add", [graph.op("Mul", [square, scalar(graph, slope * bend)]), scalar(graph, slope)]),
      ]);
    const share = graph.op("Sigmoid", [inner(0.044715)]);
    const steepness = graph.op("Mul", [graph.op("Sub", [scalar(graph, 1), share]), inner(3 * 0.044715)]);
    const derivative = graph.op("Mul", [share, graph.op("Add", [steepness, scalar(graph, 1)])]);
    return [graph.op("Mul", [g, derivative])];
  },
  Softmax: ({ graph, node: { outputs }, g }) => {
    const [y] = outputs as [Value];
    const product = graph.op("Mul", [g, y]);
    const sum = graph.op("ReduceSum", [product, graph.constant("int64", [-1])]);
    return [graph.op("Sub", [product, graph.op("Mul", [y, sum])])];
  },
  /** y = x̂ ∘ w with x̂ = x r: dx = r (g∘w − x̂ mean(g∘w∘x̂)), dw = Σ g∘x̂. */
  SimplifiedLayerNormalization: ({ graph, node, g, wants }) => {
    const [x, weight] = node.inputs as [Value, Value];
    // The operator's second output would be r, but WebGPU's holds something else.
    const { epsilon } = node.attributes as { readonly epsilon: { readonly float: number } };
    const squares = graph.op("ReduceMean", [graph.op("Mul", [x, x]), graph.constant("int64", [-1])]);
    const root = graph.op("Sqrt", [graph.op("Add", [squares, graph.float(epsilon.float)])]);
    const r = graph.op("Reciprocal", [root]);
    const normed = graph.op("Mul", [x, r]);
    const scaled = graph.op("Mul", [g, weight]);
    const dx = () => {
      const mean = graph.op("ReduceMean", [graph.op("Mul", [scaled, normed]), graph.constant("int64", [-1])]);
      return graph.op("Mul", [r, graph.op("Sub", [scaled, graph.op("Mul", [normed, mean])])]);
    };
    const dw = () => sumRows(graph, graph.op("Mul", [g, normed]), weight);
    return [wants(0) ? dx() : undefined, wants(1) ? dw() : undefined];
  },
  /** A rotation: its transpose is the one by the opposite angles. */
  RotaryEmbedding: ({ graph, node: { inputs, attributes, domain }, g }) => {
    const [, positions, cosines, sines] = inputs as [Value, Value, Value, Value];
    return [graph.op("RotaryEmbedding", [g, positions, cosines, graph.op("Neg", [sines])], { ...attributes }, domain)];
  },
};

const products: Readonly<Record<string, Rule>> = {
  /** y = x·W or, with transB, x·Wᵀ; and a bias of a row. */
  Gemm: ({ graph, node: { inputs, attributes }, g, wants }) => {
    if (attributes.transA || attributes.alpha || attributes.beta)
      throw new Error("internal: no gradient rule for a Gemm with transA, alpha or beta");
    const [x, w, bias] = inputs as [Value, Value, Value?];
    const transposed = attributes.transB === 1;
    const dx = () => graph.op("Gemm", [g, w], transposed ? {} : { transB: 1 });
    const dw = () => graph.op("Gemm", transposed ? [g, x] : [x, g], { transA: 1 });
    const db = () => graph.op("ReduceSum", [g, graph.constant("int64", [0])], { keepdims: 0 });
    return [wants(0) ? dx() : undefined, wants(1) ? dw() : undefined, bias && wants(2) ? db() : undefined];
  },
  /** Both factors have the same batch dimensions. */
  MatMul: ({ graph, node: { inputs }, g, wants }) => [
    wants(0) ? graph.op("FusedMatMul", [g, inputs[1]!], { transB: 1 }, microsoft) : undefined,
    wants(1) ? graph.op("FusedMatMul", [inputs[0]!, g], { transA: 1 }, microsoft) : undefined,
  ],
};

const layout: Readonly<Record<string, Rule>> = {
  Identity: ({ g }) => [g],
  Reshape: ({ graph, node: { inputs }, g }) => [graph.op("Reshape", [g, graph.op("Shape", [inputs[0]!])])],
  Transpose: ({ graph, node: { attributes }, g }) => {
    const perm = attributes.perm as readonly number[];
    return [graph.op("Transpose", [g], { perm: perm.map((_, axis) => perm.indexOf(axis)) })];
  },
  Concat: ({ graph, node: { inputs, attributes }, g }) => {
    const axis = attributes.axis as number;
    const sizes = inputs.map((input) => sizeOf(graph, input, axis));
    return graph.ops("Split", [g, graph.op("Concat", sizes, { axis: 0 })], inputs.length, { axis });
  },
  /** Along one axis, forwards, without leaving any out: zeros stand for what was not taken. */
  Slice: ({ graph, node: { inputs }, g }) => {
    const [x, starts, , axes, steps] = inputs as [Value, Value, Value, Value, Value?];
    const [start] = graph.constantData(starts) ?? [];
    const [axis] = graph.constantData(axes) ?? [];
    if (start === undefined || axis === undefined || start < 0 || steps)
      throw new Error("internal: no gradient rule for a Slice by anything but constants from 0 on");
    const taken = graph.op("Add", [sizeOf(graph, g, axis), starts]);
    const after = graph.op("Sub", [sizeOf(graph, x, axis), taken]);
    return [graph.op("Pad", [g, graph.op("Concat", [starts, after], { axis: 0 }), "", axes])];
  },
};

const rules: Readonly<Record<string, Rule>> = { ...sameShape, ...products, ...layout };

function scalar(graph: GraphBuilder, value: number): Value {
  return graph.constant("float32", [value], []);
}

/** int64 `[1]`. */
function sizeOf(graph: GraphBuilder, x: Value, axis: number): Value {
  return graph.op("Shape", [x], { start: axis, end: axis + 1 });
}

/** Sums `x` over all but its last dimension; `like` has that one alone. */
function sumRows(graph: GraphBuilder, x: Value, like: Value): Value {
  const shape = graph.op("Concat", [graph.constant("int64", [-1]), graph.op("Shape", [like])], { axis: 0 });
  return graph.op("ReduceSum", [graph.op("Reshape", [x, shape]), graph.constant("int64", [0])], { keepdims: 0 });
}

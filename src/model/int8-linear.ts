/** Linear layers in eight bits, as graph operators: each row of the input rounded over its largest magnitude, products in integers. */
import { PrunelabError } from "../errors.ts";
import { GraphBuilder, microsoft, type Value, type WeightLayout } from "../onnx/graph.ts";
import { float32, openSession } from "../onnx/session.ts";
import type { Linear } from "./gemma3-block.ts";
import { turnSize } from "./int8-weights.ts";

/** Linear layers over the integers and scales of int8-weights.ts, whose places are in `layout`. */
export function int8Linear(graph: GraphBuilder, layout: WeightLayout): Linear {
  const int = (...sizes: number[]) => graph.constant("int64", sizes);
  const inputs = new Map<Value, ReturnType<typeof roundRows>>();

  const turn = (x: Value, columns: number) => {
    const size = turnSize(columns);
    const blocks = graph.op("Reshape", [x, int(-1, size)]);
    const turned = graph.op("MatMul", [blocks, graph.constant("float32", hadamard(size), [size, size])]);
    return graph.op("Reshape", [turned, int(-1, columns)]);
  };
  const roundRows = (x: Value) => {
    const highest = graph.op("ReduceMax", [x, int(-1)]);
    const lowest = graph.op("Neg", [graph.op("ReduceMin", [x, int(-1)])]);
    // A row of zeros is divided by something too.
    const peaks = graph.op("Max", [highest, lowest, graph.constant("float32", [2 ** -100], [])]);
    return { rows: graph.op("QuantizeLinear", [graph.op("Div", [x, peaks]), ...steps(graph)]), peaks };
  };
  return (x, weight) => {
    const columns = layout.get(`${weight}.integers`)!.shape[0]!;
    // Several linear layers have the same input.
    const input = inputs.get(x) ?? roundRows(turn(x, columns));
    inputs.set(x, input);
    const products = multiply(graph, input.rows, graph.weight(`${weight}.integers`), graph.weight(`${weight}.scales`));
    return graph.op("Mul", [products, input.peaks]);
  };
}

/** Unsigned bytes `[rows, in]`, 128 for zero and 127 steps to one, times int8 `[in, out]` → float32 `[rows, out]`. */
function multiply(graph: GraphBuilder, rows: Value, integers: Value, scales: Value): Value {
  const [step, zero] = steps(graph);
  return graph.op("MatMulIntegerToFloat", [rows, integers, step, scales, zero], {}, microsoft);
}

/** How far apart neighbouring bytes are, and which of them is zero. */
function steps(graph: GraphBuilder): [Value, Value] {
  const zero = graph.op("Cast", [graph.constant("float32", [128], [])], { to: 2 });
  return [graph.constant("float32", [1 / 127], []), zero];
}

/** Sylvester's matrix over its root, row by row. */
function hadamard(size: number): number[] {
  return Array.from({ length: size * size }, (_, index) => {
    let common = Math.floor(index / size) & (index % size);
    let sign = 1;
    for (; common > 0; common &= common - 1) sign = -sign;
    return sign / Math.sqrt(size);
  });
}

/**
 * Refuses a processor whose products of bytes are not exact: x86 without VNNI adds two of them in 16 bits, which overflow.
 *
 * @throws PrunelabError on such a processor.
 */
export async function checkInt8(): Promise<void> {
  const [rows, inner, outer] = [8, 64, 32];
  const graph = new GraphBuilder(new Map(), "");
  const ones = (count: number) => new Array<number>(count).fill(1);
  const x = graph.op("QuantizeLinear", [graph.input("x", "float32", [rows, inner]), ...steps(graph)]);
  const weights = graph.constant("float32", new Array(inner * outer).fill(127), [inner, outer]);
  const scales = graph.constant("float32", ones(outer), [outer]);
  graph.output("y", multiply(graph, x, graph.op("Cast", [weights], { to: 3 }), scales), "float32", [rows, outer]);
  const session = await openSession(graph.encode("int8"));
  const { y } = await session.run({ x: float32(Float32Array.from(ones(rows * inner)), [rows, inner]) });
  await session.release();
  const exact = inner * 127;
  const wrong = (y!.data as Float32Array).find((value) => Math.abs(value - exact) > 1);
  if (wrong === undefined) return;
  throw new PrunelabError(
    `this processor cannot multiply in int8 without overflow: ${wrong} where ${exact} is right; choose float32`,
  );
}

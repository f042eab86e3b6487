import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GraphBuilder, microsoft, type Value } from "../onnx/graph.ts";
import { type Feeds, float32, int64, openSession } from "../onnx/session.ts";
import { addGradients } from "./gradients.ts";

/** An operator, its inputs' shapes, and the same function in float64. */
interface Case {
  readonly shapes: readonly (readonly number[])[];
  readonly add: (graph: GraphBuilder, inputs: readonly Value[]) => Value;
  readonly compute: (inputs: readonly number[][]) => number[];
  readonly feeds?: Feeds;
  /** Inputs whose gradients are wanted; all unless given. */
  readonly wrt?: readonly number[];
}

const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

/** Compares the graph's gradients with central differences of Σ g·f(x) in float64. */
async function check({ shapes, add, compute, feeds = {}, wrt = shapes.map((_, i) => i) }: Case, seed: number) {
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.fround((state / 2 ** 31 - 1) * 1.5);
  };
  const inputs = shapes.map((shape) => Array.from({ length: size(shape) }, random));
  const y = compute(inputs);
  const g = y.map(random);

  const graph = new GraphBuilder(new Map(), "");
  for (const name of Object.keys(feeds)) graph.input(name, "int64", feeds[name]!.dims);
  const names = shapes.map((shape, index) => graph.input(`x${index}`, "float32", shape));
  const value = add(graph, names);
  const shape = graph.op("Shape", [value]);
  const seedValue = graph.op("Reshape", [graph.input("g", "float32", [g.length]), shape]);
  const wanted = wrt.map((index) => names[index]!);
  const gradients = addGradients(graph, new Map([[value, seedValue]]), wanted);
  graph.output("y", value, "float32", ["…"]);
  for (const name of wanted) graph.output(`d${name}`, gradients.get(name)!, "float32", ["…"]);
  const session = await openSession(graph.encode("test"));
  const outputs = await session.run({
    ...feeds,
    g: float32(Float32Array.from(g), [g.length]),
    ...Object.fromEntries(inputs.map((x, index) => [`x${index}`, float32(Float32Array.from(x), shapes[index]!)])),
  });
  await session.release();
  near([...(outputs.y!.data as Float32Array)], y, "y");
  for (const index of wrt) {
    const step = 1e-5;
    const numeric = inputs[index]!.map((_, element) => {
      const at = (shift: number) => {
        const moved = inputs.map((x, i) => (i === index ? x.with(element, x[element]! + shift) : x));
        return compute(moved).reduce((sum, value, i) => sum + value * g[i]!, 0);
      };
      return (at(step) - at(-step)) / (2 * step);
    });
    assert.deepEqual(outputs[`dx${index}`]!.dims, shapes[index]);
    near([...(outputs[`dx${index}`]!.data as Float32Array)], numeric, `dx${index}`);
  }
}

function near(actual: readonly number[], expected: readonly number[], what: string): void {
  assert.equal(actual.length, expected.length, what);
  const scale = Math.max(1, ...expected.map(Math.abs));
  for (const [index, value] of expected.entries()) {
    const error = Math.abs(actual[index]! - value) / scale;
    assert.ok(error < 2e-5, `${what}[${index}]: ${actual[index]} instead of ${value}`);
  }
}

const rowsOf = (x: readonly number[], width: number) =>
  Array.from({ length: x.length / width }, (_, row) => x.slice(row * width, (row + 1) * width));

/** a `[m, k]` · b `[k, n]`. */
const product = (a: readonly number[], b: readonly number[], m: number, k: number, n: number) =>
  Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    return Array.from({ length: k }, (_, i) => a[row * k + i]! * b[i * n + column]!).reduce((x, y) => x + y, 0);
  });

const transpose = (x: readonly number[], rows: number, columns: number) =>
  Array.from({ length: x.length }, (_, at) => x[(at % rows) * columns + Math.floor(at / rows)]!);

const logistic = (x: number) => 1 / (1 + Math.exp(-x));

/** By operator, for dimensions m, k, n. */
const cases: Record<string, (m: number, k: number, n: number) => Case> = {
  Add: (m, k) => ({
    shapes: [
      [m, k],
      [m, k],
    ],
    add: (graph, inputs) => graph.op("Add", inputs),
    compute: ([a, b]) => a!.map((x, i) => x + b![i]!),
  }),
  "Add of a value to itself": (m, k) => ({
    shapes: [[m, k]],
    add: (graph, [x]) => graph.op("Add", [x!, graph.op("Mul", [x!, x!])]),
    compute: ([a]) => a!.map((x) => x + x * x),
  }),
  Sub: (m, k) => ({
    shapes: [
      [m, k],
      [m, k],
    ],
    add: (graph, inputs) => graph.op("Sub", inputs),
    compute: ([a, b]) => a!.map((x, i) => x - b![i]!),
  }),
  Mul: (m, k) => ({
    shapes: [
      [m, k],
      [m, k],
    ],
    add: (graph, inputs) => graph.op("Mul", inputs),
    compute: ([a, b]) => a!.map((x, i) => x * b![i]!),
  }),
  "Mul by a constant": (m, k) => ({
    shapes: [[m, k]],
    add: (graph, [x]) => graph.op("Mul", [x!, graph.constant("float32", [0.25], [])]),
    compute: ([a]) => a!.map((x) => x * 0.25),
  }),
  "Div by a constant": (m, k) => ({
    shapes: [[m, k]],
    add: (graph, [x]) => graph.op("Div", [x!, graph.constant("float32", [4], [])]),
    compute: ([a]) => a!.map((x) => x / 4),
  }),
  Sigmoid: (m, k) => ({
    shapes: [[m, k]],
    add: (graph, inputs) => graph.op("Sigmoid", inputs),
    compute: ([a]) => a!.map(logistic),
  }),
  Tanh: (m, k) => ({
    shapes: [[m, k]],
    add: (graph, inputs) => graph.op("Tanh", inputs),
    compute: ([a]) => a!.map(Math.tanh),
  }),
  Gelu: (m, k) => ({
    shapes: [[m, k]],
    add: (graph, inputs) => graph.op("Gelu", inputs, { approximate: "tanh" }),
    compute: ([a]) => a!.map((x) => x * logistic(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  }),
  Softmax: (m, k) => ({
    shapes: [[m, k]],
    add: (graph, inputs) => graph.op("Softmax", inputs, { axis: -1 }),
    compute: ([a]) =>
      rowsOf(a!, k).flatMap((row) => {
        const sum = row.reduce((total, x) => total + Math.exp(x), 0);
        return row.map((x) => Math.exp(x) / sum);
      }),
  }),
  SimplifiedLayerNormalization: (m, k, n) => ({
    shapes: [[m, n, k], [k]],
    add: (graph, inputs) =>
      graph.op("SimplifiedLayerNormalization", inputs, { axis: -1, epsilon: { float: Math.fround(1e-6) } }),
    compute: ([a, w]) =>
      rowsOf(a!, k).flatMap((row) => {
        const root = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0) / k + Math.fround(1e-6));
        return row.map((x, i) => (x / root) * w![i]!);
      }),
  }),
  Gemm: (m, k, n) => ({
    shapes: [[m, k], [k, n], [n]],
    add: (graph, inputs) => graph.op("Gemm", inputs),
    compute: ([a, b, c]) => product(a!, b!, m, k, n).map((x, i) => x + c![i % n]!),
  }),
  "Gemm by a transposed weight": (m, k, n) => ({
    shapes: [
      [m, k],
      [n, k],
    ],
    add: (graph, inputs) => graph.op("Gemm", inputs, { transB: 1 }),
    compute: ([a, b]) => product(a!, transpose(b!, n, k), m, k, n),
  }),
  MatMul: (m, k, n) => ({
    shapes: [
      [2, m, k],
      [2, k, n],
    ],
    add: (graph, inputs) => graph.op("MatMul", inputs),
    compute: ([a, b]) =>
      [0, 1].flatMap((i) =>
        product(a!.slice(i * m * k, (i + 1) * m * k), b!.slice(i * k * n, (i + 1) * k * n), m, k, n),
      ),
  }),
  Reshape: (m, k) => ({
    shapes: [[m, k]],
    add: (graph, [x]) => graph.op("Reshape", [x!, graph.constant("int64", [k, -1])]),
    compute: ([a]) => a!,
  }),
  Transpose: (m, k, n) => ({
    shapes: [[n, m, k]],
    add: (graph, inputs) => graph.op("Transpose", inputs, { perm: [1, 2, 0] }),
    compute: ([a]) => transpose(a!, n, m * k),
  }),
  Concat: (m, k, n) => ({
    shapes: [
      [m, k],
      [m, n],
    ],
    add: (graph, inputs) => graph.op("Concat", inputs, { axis: 1 }),
    compute: ([a, b]) => rowsOf(a!, k).flatMap((row, i) => [...row, ...rowsOf(b!, n)[i]!]),
  }),
  Slice: (m, k) => ({
    shapes: [[m + 2, k]],
    add: (graph, [x]) => graph.slice(x!, 0, 1, m + 1),
    compute: ([a]) => a!.slice(k, (m + 1) * k),
  }),
  "Slice to the end": (m, k) => ({
    shapes: [[m, k + 1]],
    add: (graph, [x]) => graph.slice(x!, 1, 1),
    compute: ([a]) => rowsOf(a!, k + 1).flatMap((row) => row.slice(1)),
  }),
  RotaryEmbedding: (m, _, n) => ({
    shapes: [
      [1, n, m, 8],
      [m, 4],
      [m, 4],
    ],
    wrt: [0],
    feeds: { positions: int64([...Array(m).keys()], [1, m]) },
    add: (graph, [x, cosines, sines]) =>
      graph.op("RotaryEmbedding", [x!, "positions", cosines!, sines!], {}, microsoft),
    compute: ([a, cosines, sines]) =>
      rowsOf(a!, 8).flatMap((row, at) => {
        const turned = (i: number) => (i < 4 ? -row[i + 4]! : row[i - 4]!);
        const angle = (table: readonly number[], i: number) => table[(at % m) * 4 + (i % 4)]!;
        return row.map((x, i) => x * angle(cosines!, i) + turned(i) * angle(sines!, i));
      }),
  }),
};

for (const [name, make] of Object.entries(cases)) {
  test(`${name}: the gradient is that of central differences`, async () => {
    const dimension = fc.integer({ min: 1, max: 5 });
    await fc.assert(
      fc.asyncProperty(dimension, dimension, dimension, fc.nat(), (m, k, n, seed) => check(make(m, k, n), seed)),
      { numRuns: 15, seed: 1 },
    );
  });
}

test("gradients go through several operators, and only to what is asked for", async () => {
  await check(
    {
      shapes: [
        [3, 4],
        [4, 4],
      ],
      add: (graph, [x, w]) => graph.op("Sub", [graph.op("Gemm", [graph.op("Tanh", [x!]), w!]), x!]),
      compute: ([x, w]) => product(x!.map(Math.tanh), w!, 3, 4, 4).map((y, i) => y - x![i]!),
    },
    7,
  );
  const graph = new GraphBuilder(new Map(), "");
  const [x, other] = [graph.input("x", "float32", [2]), graph.input("other", "float32", [2])];
  const y = graph.op("Mul", [x, x]);
  const before = graph.nodes.length;
  assert.equal(addGradients(graph, new Map([[y, other]]), [other]).size, 0);
  assert.equal(graph.nodes.length, before);
});

test("the gradient of a seed that is wanted itself is the seed and what else depends on it", async () => {
  const graph = new GraphBuilder(new Map(), "");
  const [x, g] = [graph.input("x", "float32", [2]), graph.input("g", "float32", [2])];
  assert.equal(addGradients(graph, new Map([[x, g]]), [x]).get(x), g);
});

test("an operator without a rule is a defect that names it", () => {
  const graph = new GraphBuilder(new Map(), "");
  const [x, g] = [graph.input("x", "float32", [2]), graph.input("g", "float32", [2])];
  assert.throws(() => addGradients(graph, new Map([[graph.op("Exp", [x]), g]]), [x]), /operator Exp/);
});

/** How a matrix of weights may lie in the file beside an ONNX graph, and the operators that read it there. In all of them 0 stays 0. */
import { float16ToFloat32, float32ToFloat16 } from "../checkpoint/half.ts";
import { type ExternalWeight, type GraphBuilder, microsoft, type Value } from "../onnx/graph.ts";
import { type Bits, blockSize, coarseStep, codeOf, findStep, largestOf } from "./block-steps.ts";

/** `[out, in]`, or `[vocabulary, hidden]`. */
export interface MatrixSize {
  readonly rows: number;
  readonly columns: number;
}

/** A tensor of the file; its name is the matrix's and `part`. */
export interface StoredPart extends Pick<ExternalWeight, "shape" | "type"> {
  readonly part: string;
}

export interface MatrixForm {
  /** Whether rows are cut into whole blocks, and so must be a multiple of {@link blockSize} long. */
  readonly inBlocks?: true;
  readonly stored: (size: MatrixSize) => StoredPart[];
  /** The numbers of each part that is stored. `values` is row-major. */
  readonly encode: (values: Float32Array, size: MatrixSize) => (Float32Array | Uint16Array | Uint8Array)[];
  /** Float32 `[n, columns]` → float32 `[n, rows]`, the product with the matrix transposed. */
  readonly linear: (graph: GraphBuilder, x: Value, parts: readonly Value[], size: MatrixSize) => Value;
  /** int64 `[n]` → float32 `[n, columns]`, rows of the matrix. */
  readonly rows: (graph: GraphBuilder, ids: Value, parts: readonly Value[], size: MatrixSize) => Value;
}

/** Plain numbers; a product takes numbers of their type and gives such. */
export function plain(type: "float32" | "float16"): MatrixForm {
  const into = (graph: GraphBuilder, x: Value) => (type === "float32" ? x : graph.cast(x, type));
  const outOf = (graph: GraphBuilder, x: Value) => (type === "float32" ? x : graph.cast(x, "float32"));
  return {
    stored: ({ rows, columns }) => [{ part: "", shape: [rows, columns], type }],
    encode: (values) => [type === "float32" ? values : float32ToFloat16(values)],
    linear: (graph, x, [weight]) => outOf(graph, graph.op("Gemm", [into(graph, x), weight!], { transB: 1 })),
    rows: (graph, ids, [weight]) => outOf(graph, graph.op("Gather", [weight!, ids])),
  };
}

/**
 * Each row in 8 bits with a scale of its own, and each row of inputs as well when the graph runs: products of whole numbers, the fast ones of
 * WebAssembly. Both factors are unsigned with 128 as their zero: of signed weights ONNX Runtime's x86 kernels without VNNI add pairs in 16 bits,
 * which overflows. The matrix is stored transposed, as MatMulInteger takes it.
 */
export const rowScaled: MatrixForm = {
  stored: ({ rows, columns }) => [
    { part: ".transposed", shape: [columns, rows], type: "uint8" },
    { part: ".scales", shape: [rows], type: "float32" },
  ],
  encode: (values, { rows, columns }) => {
    const codes = new Uint8Array(values.length);
    const scales = new Float32Array(rows);
    // By strips of rows, since the transposed ones lie far apart.
    for (let from = 0; from < rows; from += blockSize) {
      const to = Math.min(from + blockSize, rows);
      for (let row = from; row < to; row++) {
        scales[row] = largestOf(values.subarray(row * columns, (row + 1) * columns)) / 127 || 1;
      }
      for (let column = 0; column < columns; column++) {
        for (let row = from; row < to; row++) {
          codes[column * rows + row] = codeOf(values[row * columns + column]!, scales[row]!, 8);
        }
      }
    }
    return [codes, scales];
  },
  linear: (graph, x, [codes, scales]) => {
    const { factor, scale } = roundInputs(graph, x);
    const zero = graph.constant("uint8", [128], []);
    const sums = graph.cast(graph.op("MatMulInteger", [factor, codes!, zero, zero]), "float32");
    return graph.op("Mul", [graph.op("Mul", [sums, scale]), scales!]);
  },
  rows: (graph, ids, [codes, scales]) => {
    const found = graph.transpose(graph.op("Gather", [codes!, ids], { axis: 1 }), 1, 0);
    const scale = graph.reshape(graph.op("Gather", [scales!, ids]), -1, 1);
    return graph.op("Mul", [centred(graph, found, 8), scale]);
  },
};

const roundedInputs = new WeakMap<GraphBuilder, Map<Value, { readonly factor: Value; readonly scale: Value }>>();

/** Each row of `x` in 8 bits, whole and unsigned, and what it is a multiple of; once for all layers that read it. */
function roundInputs(graph: GraphBuilder, x: Value) {
  const known = roundedInputs.get(graph) ?? new Map();
  roundedInputs.set(graph, known);
  if (!known.has(x)) {
    const largest = graph.op("ReduceMax", [graph.op("Abs", [x]), graph.ints(-1)]);
    const scale = graph.op("Max", [graph.op("Div", [largest, graph.float(127)]), graph.float(1e-30)]);
    const whole = graph.op("Round", [graph.op("Div", [x, scale])]);
    known.set(x, { scale, factor: graph.cast(graph.op("Add", [whole, graph.float(128)]), "uint8") });
  }
  return known.get(x)!;
}

/** Codes with 8 or 128 as their zero → whole numbers around 0, float32. */
function centred(graph: GraphBuilder, codes: Value, bits: Bits): Value {
  return graph.op("Sub", [graph.cast(codes, "float32"), graph.float(2 ** (bits - 1))]);
}

/**
 * Blocks of 32 weights of a row, each with a scale, in 4 or 8 bits: MatMulNBits without zero points. Weights that are multiples of a step already
 * keep their exact values. Rows are found by plain operators, since the WebAssembly file that transformers.js loads has no GatherBlockQuantized.
 */
export function blockScaled(bits: Bits, scaleType: "float32" | "float16"): MatrixForm {
  const codeBytes = (blockSize * bits) / 8;
  const into = (graph: GraphBuilder, x: Value) => (scaleType === "float32" ? x : graph.cast(x, scaleType));
  const outOf = (graph: GraphBuilder, x: Value) => (scaleType === "float32" ? x : graph.cast(x, "float32"));
  return {
    inBlocks: true,
    stored: ({ rows, columns }) => [
      { part: ".blocks", shape: [rows, columns / blockSize, codeBytes], type: "uint8" },
      { part: ".scales", shape: [rows, columns / blockSize], type: scaleType },
    ],
    encode: (values) => {
      const { codes, scales } = encodeBlocks(values, bits, scaleType);
      return [codes, scaleType === "float32" ? scales : float32ToFloat16(scales)];
    },
    linear: (graph, x, parts, { rows, columns }) => {
      const attributes = { K: columns, N: rows, bits, block_size: blockSize, accuracy_level: 4 };
      return outOf(graph, graph.op("MatMulNBits", [into(graph, x), ...parts], attributes, microsoft));
    },
    rows: (graph, ids, [codes, scales], { columns }) => {
      const found = graph.op("Gather", [codes!, ids]);
      const scale = graph.op("Unsqueeze", [graph.op("Gather", [scales!, ids]), graph.ints(-1)]);
      const apart = bits === 8 ? found : graph.reshape(halves(graph, found), 0, 0, blockSize);
      const weights = graph.op("Mul", [centred(graph, apart, bits), outOf(graph, scale)]);
      return graph.reshape(weights, -1, columns);
    },
  };
}

/**
 * The same blocks in 8 bits, of which the runtime makes float32 when the model is loaded. For weights that are multiples of a step already, which
 * {@link rowScaled} would round once more, and for which WebAssembly's MatMulNBits is ten times slower.
 */
export const unpacked: MatrixForm = {
  inBlocks: true,
  stored: ({ rows, columns }) => [
    { part: ".blocks", shape: [rows, columns / blockSize, blockSize], type: "uint8" },
    { part: ".scales", shape: [rows, columns / blockSize], type: "float32" },
  ],
  encode: (values) => {
    const { codes, scales } = encodeBlocks(values, 8, "float32");
    return [codes, scales];
  },
  linear: (graph, x, [codes, scales], { rows, columns }) => {
    const scale = graph.op("Unsqueeze", [scales!, graph.ints(-1)]);
    const weight = graph.reshape(graph.op("Mul", [centred(graph, codes!, 8), scale]), rows, columns);
    return graph.op("Gemm", [x, weight], { transB: 1 });
  },
  rows: blockScaled(8, "float32").rows,
};

/** Bytes → the lower and the upper four bits of each, on a new last axis. */
function halves(graph: GraphBuilder, bytes: Value): Value {
  const lower = graph.op("BitwiseAnd", [bytes, graph.constant("uint8", [15], [])]);
  const upper = graph.op("BitShift", [bytes, graph.constant("uint8", [4], [])], { direction: "RIGHT" });
  const last = (x: Value) => graph.op("Unsqueeze", [x, graph.ints(-1)]);
  return graph.concat([last(lower), last(upper)], -1);
}

function encodeBlocks(values: Float32Array, bits: Bits, scaleType: "float32" | "float16") {
  const stored = scaleType === "float32" ? Math.fround : toFloat16;
  const scales = new Float32Array(values.length / blockSize);
  const codes = new Uint8Array((values.length * bits) / 8);
  const block = new Float32Array(blockSize);
  const mayHaveSteps = hasSteps(values, bits);
  for (let index = 0; index < scales.length; index++) {
    const from = index * blockSize;
    for (let i = 0; i < blockSize; i++) block[i] = values[from + i]!;
    const found = mayHaveSteps ? findStep(block, bits, (step) => stored(step) === step) : undefined;
    // Weights too small for float16 have no step that can be told from 0.
    const step = (found ?? stored(coarseStep(block, bits))) || 1;
    scales[index] = step;
    for (let i = 0; i < blockSize; i++) {
      const code = codeOf(block[i]!, step, bits);
      if (bits === 8) codes[from + i] = code;
      else codes[(from + i) >> 1]! |= i % 2 === 0 ? code : code << 4;
    }
  }
  return { codes, scales };
}

/** Whether one of the first blocks that are not all zeros has a step; to look for one in each block takes ten times as long as to round them. */
function hasSteps(values: Float32Array, bits: Bits): boolean {
  for (let from = 0, looked = 0; from < values.length && looked < 8; from += blockSize) {
    const block = values.subarray(from, from + blockSize);
    if (largestOf(block) === 0) continue;
    if (findStep(block, bits) !== undefined) return true;
    looked++;
  }
  return false;
}

const single = new Float32Array(1);
function toFloat16(value: number): number {
  single[0] = value;
  return float16ToFloat32(float32ToFloat16(single))[0]!;
}

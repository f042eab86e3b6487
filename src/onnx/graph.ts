/** Builds an ONNX graph, one call per operator, and encodes it as a model whose large weights lie in a file beside it. */
import { elementCount } from "../checkpoint/tensor.ts";
import { bytes, float, int, message, text } from "./protobuf.ts";

/** Name of a value in the graph: an input, an initializer or an operator's output. */
export type Value = string;

/** A size, or the name of one that is known only when the graph runs. */
export type Dimension = number | string;

export type ElementType = "float32" | "float64" | "float16" | "int64" | "uint8" | "int8" | "bool";

/** Where a weight lies in an external data file. */
export interface ExternalWeight {
  readonly shape: readonly number[];
  /** float32 unless given. */
  readonly type?: "float32" | "float16" | "uint8" | "int8";
  /** Bytes from the start of the file. */
  readonly offset: number;
}

const weightElementBytes = { float32: 4, float16: 2, uint8: 1, int8: 1 };

/** Bytes that a weight takes in its file. */
export function bytesOfWeight({ shape, type = "float32" }: Pick<ExternalWeight, "shape" | "type">): number {
  return elementCount(shape) * weightElementBytes[type];
}

/** By tensor name. */
export type WeightLayout = ReadonlyMap<string, ExternalWeight>;

// Each weight starts on a page, so that the file can be mapped into memory.
const pageBytes = 4096;

/** Gives weights their places in a file, one after the other. */
export function placeWeights(
  weights: Iterable<Omit<ExternalWeight, "offset"> & { readonly name: string }>,
): WeightLayout {
  const layout = new Map<string, ExternalWeight>();
  let offset = 0;
  for (const { name, ...rest } of weights) {
    const weight = { ...rest, offset };
    layout.set(name, weight);
    offset += Math.ceil(bytesOfWeight(weight) / pageBytes) * pageBytes;
  }
  return layout;
}

export type Attribute = number | string | readonly number[] | { readonly float: number };

// TensorProto.DataType and AttributeProto.AttributeType of onnx.proto3.
const dataType: Record<ElementType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
};
const attributeType = { float: 1, int: 2, string: 3, ints: 7 };

const irVersion = 9;
const opset = 20;
/** ONNX Runtime's own operators. */
export const microsoft = "com.microsoft";

/** An operator. */
export interface Node {
  readonly type: string;
  readonly inputs: readonly Value[];
  readonly outputs: Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly domain: string;
}

/** Which part of a graph is encoded. */
export interface GraphPart {
  /** Names of outputs; all unless given. */
  readonly outputs?: readonly string[];
  /** Shapes of float32 values that are inputs of this part, in place of the operators that compute them. */
  readonly given?: ReadonlyMap<Value, readonly Dimension[]>;
}

export class GraphBuilder {
  /** In an order in which each operator stands after those whose values it takes. */
  readonly nodes: Node[] = [];
  private readonly initializers = new Map<string, Uint8Array>();
  private readonly inputs = new Map<string, Uint8Array>();
  private readonly outputs = new Map<string, Uint8Array>();
  private readonly constants = new Map<Value, readonly number[]>();
  private readonly counts = new Map<string, number>();
  private readonly weights: WeightLayout;
  private readonly dataFile: string;

  constructor(weights: WeightLayout, dataFile: string) {
    this.weights = weights;
    this.dataFile = dataFile;
  }

  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    this.inputs.set(name, valueInfo(name, type, shape));
    return name;
  }

  /** Gives `value` an output's name and type. */
  output(name: string, value: Value, type: ElementType, shape: readonly Dimension[]): void {
    this.nodes.push({ type: "Identity", inputs: [value], outputs: [name], attributes: {}, domain: "" });
    this.outputs.set(name, valueInfo(name, type, shape));
  }

  /** A weight from the external data file, by its checkpoint name; the same name twice is one initializer. */
  weight(name: string): Value {
    const weight = this.weights.get(name);
    if (!weight) throw new Error(`internal: weight not in the layout: ${name}`);
    const { shape, offset, type = "float32" } = weight;
    const entries = { location: this.dataFile, offset: String(offset), length: String(bytesOfWeight(weight)) };
    this.initializers.set(
      name,
      message(
        shape.map((size) => int(1, size)),
        int(2, dataType[type]),
        text(8, name),
        Object.entries(entries).map(([key, value]) => bytes(13, message(text(1, key), text(2, value)))),
        int(14, 1),
      ),
    );
    return name;
  }

  /** A small constant kept inside the model. */
  constant(
    type: "float32" | "int64" | "uint8",
    data: readonly number[],
    shape: readonly number[] = [data.length],
  ): Value {
    const raw =
      type === "uint8"
        ? Uint8Array.from(data)
        : type === "float32"
          ? new Uint8Array(Float32Array.from(data).buffer)
          : new Uint8Array(BigInt64Array.from(data.map(BigInt)).buffer);
    const name = `${type}_${shape.join("x") || "scalar"}_${data.length < 5 ? data.join("_") : this.count("constant")}`;
    this.initializers.set(
      name,
      message(
        shape.map((size) => int(1, size)),
        int(2, dataType[type]),
        text(8, name),
        bytes(9, raw),
      ),
    );
    this.constants.set(name, data);
    return name;
  }

  /** The numbers of a constant; undefined for any other value. */
  constantData(value: Value): readonly number[] | undefined {
    return this.constants.get(value);
  }

  /** Adds an operator with one output. */
  op(type: string, inputs: readonly Value[], attributes: Record<string, Attribute> = {}, domain = ""): Value {
    return this.ops(type, inputs, 1, attributes, domain)[0]!;
  }

  /** Adds an operator with several outputs. */
  ops(
    type: string,
    inputs: readonly Value[],
    count: number,
    attributes: Record<string, Attribute> = {},
    domain = "",
  ): Value[] {
    const outputs = Array.from({ length: count }, () => `${type}_${this.count(type)}`);
    this.nodes.push({ type, inputs, outputs, attributes, domain });
    return outputs;
  }

  /** A constant list of integers, as shapes and axes are given. */
  ints(...values: number[]): Value {
    return this.constant("int64", values);
  }

  /** A constant integer. */
  int(value: number): Value {
    return this.constant("int64", [value], []);
  }

  /** A constant number. */
  float(value: number): Value {
    return this.constant("float32", [value], []);
  }

  concat(values: readonly Value[], axis: number): Value {
    return this.op("Concat", values, { axis });
  }

  cast(x: Value, to: ElementType): Value {
    return this.op("Cast", [x], { to: dataType[to] });
  }

  transpose(x: Value, ...perm: number[]): Value {
    return this.op("Transpose", [x], { perm });
  }

  /** Sizes as ONNX's Reshape takes them (0 as before, -1 what is left), or values that hold some of them, int64 `[n]`. */
  reshape(x: Value, ...sizes: readonly (number | Value)[]): Value {
    const parts: Value[] = [];
    let run: number[] = [];
    const endRun = () => {
      if (run.length > 0) parts.push(this.ints(...run));
      run = [];
    };
    for (const size of sizes) {
      if (typeof size === "number") run.push(size);
      else {
        endRun();
        parts.push(size);
      }
    }
    endRun();
    return this.op("Reshape", [x, parts.length === 1 ? parts[0]! : this.concat(parts, 0)]);
  }

  /** Adds the part of `x` from `from` to `to`, exclusive, along one axis; to the end unless given. */
  slice(x: Value, axis: number, from: number, to: number = Number.MAX_SAFE_INTEGER): Value {
    return this.op("Slice", [x, ...[from, to, axis].map((value) => this.ints(value))]);
  }

  /** The ONNX model, encoded: what its outputs need, and no more. */
  encode(name: string, { outputs = [...this.outputs.keys()], given = new Map() }: GraphPart = {}): Uint8Array {
    // Operators stand after those whose values they take, so one way back finds all that is needed.
    const needed = new Set<Value>(outputs);
    const nodes: Uint8Array[] = [];
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output) && !given.has(output))) continue;
      for (const input of node.inputs) needed.add(input);
      nodes.unshift(encodeNode(node));
    }
    const used = (values: ReadonlyMap<string, Uint8Array>) =>
      [...values].filter(([value]) => needed.has(value)).map(([, encoded]) => encoded);
    const graph = message(
      nodes.map((node) => bytes(1, node)),
      text(2, name),
      used(this.initializers).map((initializer) => bytes(5, initializer)),
      used(this.inputs).map((input) => bytes(11, input)),
      [...given]
        .filter(([value]) => needed.has(value))
        .map(([value, shape]) => bytes(11, valueInfo(value, "float32", shape))),
      outputs.map((output) => bytes(12, this.outputs.get(output)!)),
    );
    return message(
      int(1, irVersion),
      text(2, "prunelab"),
      bytes(7, graph),
      bytes(8, message(text(1, ""), int(2, opset))),
      bytes(8, message(text(1, microsoft), int(2, 1))),
    );
  }

  private count(kind: string): number {
    const count = this.counts.get(kind) ?? 0;
    this.counts.set(kind, count + 1);
    return count;
  }
}

function encodeNode({ type, inputs, outputs, attributes, domain }: Node): Uint8Array {
  return message(
    inputs.map((value) => text(1, value)),
    outputs.map((value) => text(2, value)),
    text(3, `${type}/${outputs[0]}`),
    text(4, type),
    Object.entries(attributes).map(([key, value]) => bytes(5, attribute(key, value))),
    text(7, domain),
  );
}

function attribute(name: string, value: Attribute): Uint8Array {
  if (typeof value === "number") return message(text(1, name), int(3, value), int(20, attributeType.int));
  if (typeof value === "string") return message(text(1, name), text(4, value), int(20, attributeType.string));
  if ("float" in value) return message(text(1, name), float(2, value.float), int(20, attributeType.float));
  return message(
    text(1, name),
    value.map((item) => int(8, item)),
    int(20, attributeType.ints),
  );
}

function valueInfo(name: string, type: ElementType, shape: readonly Dimension[]): Uint8Array {
  const dimensions = shape.map((size) => bytes(1, typeof size === "number" ? int(1, size) : text(2, size)));
  const tensorType = message(int(1, dataType[type]), bytes(2, message(dimensions)));
  return message(text(1, name), bytes(2, message(bytes(1, tensorType))));
}

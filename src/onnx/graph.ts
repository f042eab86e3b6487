/** Builds an ONNX graph, one call per operator, and encodes it as a model whose large weights lie in a file beside it. */
import { elementCount } from "../checkpoint/tensor.ts";
import { bytes, float, int, message, text } from "./protobuf.ts";

/** Name of a value in the graph: an input, an initializer or an operator's output. */
export type Value = string;

/** A size, or the name of one that is known only when the graph runs. */
export type Dimension = number | string;

export type ElementType = "float32" | "float64" | "int64" | "bool";

/** Where a weight lies in an external data file. */
export interface ExternalWeight {
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** `"float32"` unless given. */
  readonly type?: "float32" | "int8";
  /** The graph's data file unless given. */
  readonly file?: string;
}

/** Bytes that a weight takes in its file. */
export function bytesOfWeight({ shape, type }: Pick<ExternalWeight, "shape" | "type">): number {
  return elementCount(shape) * (type === "int8" ? 1 : 4);
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

type Attribute = number | string | readonly number[] | { readonly float: number };

// TensorProto.DataType and AttributeProto.AttributeType of onnx.proto3.
const dataType: Record<ElementType | "int8", number> = { float32: 1, int8: 3, int64: 7, bool: 9, float64: 11 };
const attributeType = { float: 1, int: 2, string: 3, ints: 7 };

const irVersion = 9;
const opset = 20;
/** ONNX Runtime's own operators. */
export const microsoft = "com.microsoft";

/** An operator. */
interface Node {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly encoded: Uint8Array;
}

export class GraphBuilder {
  private readonly nodes: Node[] = [];
  private readonly initializers = new Map<string, Uint8Array>();
  private readonly inputs = new Map<string, Uint8Array>();
  private readonly outputs = new Map<string, Uint8Array>();
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
    this.node("Identity", [value], [name]);
    this.outputs.set(name, valueInfo(name, type, shape));
  }

  /** A weight from the external data file, by its checkpoint name; the same name twice is one initializer. */
  weight(name: string): Value {
    const weight = this.weights.get(name);
    if (!weight) throw new Error(`internal: weight not in the layout: ${name}`);
    const { shape, offset, type = "float32", file = this.dataFile } = weight;
    const entries = { location: file, offset: String(offset), length: String(bytesOfWeight(weight)) };
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
  constant(type: "float32" | "int64", data: readonly number[], shape: readonly number[] = [data.length]): Value {
    const raw =
      type === "float32"
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
    return name;
  }

  /** Adds an operator with one output. */
  op(type: string, inputs: readonly Value[], attributes: Record<string, Attribute> = {}, domain = ""): Value {
    const output = `${type}_${this.count(type)}`;
    this.node(type, inputs, [output], attributes, domain);
    return output;
  }

  /** Adds the part of `x` from `from` to `to`, exclusive, along one axis; to the end unless given. */
  slice(x: Value, axis: number, from: number, to: number = Number.MAX_SAFE_INTEGER): Value {
    return this.op("Slice", [x, ...[from, to, axis].map((value) => this.constant("int64", [value]))]);
  }

  /** The ONNX model, encoded: what its outputs need, and no more. */
  encode(name: string): Uint8Array {
    // Operators stand after those whose values they take, so one way back finds all that is needed.
    const needed = new Set<Value>(this.outputs.keys());
    const nodes: Uint8Array[] = [];
    for (const { inputs, outputs, encoded } of this.nodes.toReversed()) {
      if (!outputs.some((output) => needed.has(output))) continue;
      for (const input of inputs) needed.add(input);
      nodes.unshift(encoded);
    }
    const used = (values: ReadonlyMap<string, Uint8Array>) =>
      [...values].filter(([value]) => needed.has(value)).map(([, encoded]) => encoded);
    const graph = message(
      nodes.map((node) => bytes(1, node)),
      text(2, name),
      used(this.initializers).map((initializer) => bytes(5, initializer)),
      used(this.inputs).map((input) => bytes(11, input)),
      [...this.outputs.values()].map((output) => bytes(12, output)),
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

  private node(
    type: string,
    inputs: readonly Value[],
    outputs: readonly Value[],
    attributes: Record<string, Attribute> = {},
    domain = "",
  ): void {
    const encoded = message(
      inputs.map((value) => text(1, value)),
      outputs.map((value) => text(2, value)),
      text(3, `${type}/${outputs[0]}`),
      text(4, type),
      Object.entries(attributes).map(([key, value]) => bytes(5, attribute(key, value))),
      text(7, domain),
    );
    this.nodes.push({ inputs, outputs, encoded });
  }
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

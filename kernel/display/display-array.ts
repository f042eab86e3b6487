/** Shows typed arrays and ONNX tensors by dtype, shape, a few values and a summary, never by a million numbers. */

type Numbers = { length: number; [index: number]: number | bigint };

/** The part of onnxruntime's and transformers.js's Tensor that is read. */
interface Tensor {
  type: string;
  dims: readonly number[];
  data: unknown;
}

const MAX_WHOLE = 20;
const EDGE_VALUES = 5;

export function arrayText(value: object): string | undefined {
  if (isNumbers(value)) return `${value.constructor.name}(${value.length}) ${valuesText(value)}${summary(value)}`;
  if (!isTensor(value)) return undefined;
  const { type, dims } = value;
  const head = `Tensor ${type} [${dims.join(", ")}]`;
  const data = dataOf(value);
  if (data === undefined) return `${head}, its data elsewhere`;
  if (isNumbers(data)) return `${head} ${valuesText(data)}${summary(data)}`;
  const texts = data as unknown[];
  const shown = texts.slice(0, EDGE_VALUES).map((text) => JSON.stringify(text));
  return `${head} [ ${shown.join(", ")}${texts.length > EDGE_VALUES ? ", …" : ""} ]`;
}

function isNumbers(value: unknown): value is Numbers & object {
  return (
    ArrayBuffer.isView(value) &&
    !(value instanceof DataView) &&
    !(value instanceof Uint8Array && Buffer.isBuffer(value))
  );
}

/** What holds the data of each of ONNX's types; other objects with a `type` and `dims` are not tensors. */
const ARRAYS: Readonly<Record<string, readonly string[]>> = {
  float32: ["Float32Array"],
  float64: ["Float64Array"],
  float16: ["Uint16Array", "Float16Array"],
  int8: ["Int8Array"],
  uint8: ["Uint8Array"],
  int16: ["Int16Array"],
  uint16: ["Uint16Array"],
  int32: ["Int32Array"],
  uint32: ["Uint32Array"],
  int64: ["BigInt64Array"],
  uint64: ["BigUint64Array"],
  bool: ["Uint8Array"],
  string: ["Array"],
  int4: ["Int8Array", "Uint8Array"],
  uint4: ["Uint8Array"],
};

function isTensor(value: object): value is Tensor {
  const { type, dims } = value as Partial<Tensor>;
  if (typeof type !== "string" || !Object.hasOwn(ARRAYS, type) || !("data" in value)) return false;
  if (!Array.isArray(dims) || !dims.every((size) => Number.isInteger(size) && size >= 0)) return false;
  const count = dims.reduce((product: number, size: number) => product * size, 1);
  let data: unknown;
  try {
    data = (value as Tensor).data;
  } catch {
    return true; // It is on a GPU.
  }
  if (typeof data !== "object" || data === null) return false;
  const { length } = data as { length?: number };
  return (
    ARRAYS[type]!.includes(data.constructor.name) && length === (type.endsWith("int4") ? Math.ceil(count / 2) : count)
  );
}

/** A tensor on a GPU throws when its data is asked for. */
function dataOf(tensor: Tensor): unknown {
  try {
    const { data } = tensor;
    return isNumbers(data) || Array.isArray(data) ? data : undefined;
  } catch {
    return undefined;
  }
}

function valuesText(values: Numbers): string {
  const text = (i: number) => numberText(values[i] as number | bigint);
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => text(from + i));
  const { length } = values;
  if (length === 0) return "[]";
  if (length <= MAX_WHOLE) return `[ ${range(0, length).join(", ")} ]`;
  return `[ ${[...range(0, EDGE_VALUES), "…", ...range(length - EDGE_VALUES, length)].join(", ")} ]`;
}

function numberText(value: number | bigint): string {
  return typeof value === "bigint" || Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

function summary(values: Numbers): string {
  if (values.length <= MAX_WHOLE) return "";
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let notFinite = 0;
  let zeros = 0;
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i]);
    if (!Number.isFinite(value)) {
      notFinite++;
      continue;
    }
    if (value < min) min = value;
    if (value > max) max = value;
    if (value === 0) zeros++;
    sum += value;
  }
  const finite = values.length - notFinite;
  const parts =
    finite > 0 ? [`min ${numberText(min)}`, `max ${numberText(max)}`, `mean ${numberText(sum / finite)}`] : [];
  if (zeros > 0) parts.push(`${zeros} zeros`);
  if (notFinite > 0) parts.push(`${notFinite} not finite`);
  return ` ${parts.join(", ")}`;
}

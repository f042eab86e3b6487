/** Products of dense matrices, in float32 or float64, by ONNX Runtime's kernels on all cores. */
import { GraphBuilder } from "./graph.ts";
import { float32, float64, openSession, type Session } from "./session.ts";

/** Row-major. */
export interface Matrix<Data extends Float32Array | Float64Array = Float32Array> {
  readonly rows: number;
  readonly columns: number;
  readonly data: Data;
}

export interface MultiplyOptions {
  /** Whether the first or second factor is taken with rows and columns exchanged. */
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

const sessions = new Map<string, Promise<Session>>();

/** a × b; both factors of one precision. */
export async function multiply<Data extends Float32Array | Float64Array>(
  a: Matrix<Data>,
  b: Matrix<Data>,
  { transposeA = false, transposeB = false }: MultiplyOptions = {},
): Promise<Matrix<Data>> {
  const rows = transposeA ? a.columns : a.rows;
  const columns = transposeB ? b.rows : b.columns;
  const type = a.data instanceof Float64Array ? "float64" : "float32";
  const key = `${type} ${transposeA} ${transposeB}`;
  let session = sessions.get(key);
  if (!session) {
    session = openProduct(type, transposeA, transposeB);
    sessions.set(key, session);
    session.catch(() => sessions.delete(key));
  }
  const tensor = ({ rows, columns, data }: Matrix<Float32Array | Float64Array>) =>
    data instanceof Float64Array ? float64(data, [rows, columns]) : float32(data, [rows, columns]);
  const { c } = await (await session).run({ a: tensor(a), b: tensor(b) });
  return { rows, columns, data: c!.data as Data };
}

/** A copy of the rows from `top` to `bottom` and the columns from `left` to `right`, both ends exclusive. */
export function cut<Data extends Float32Array | Float64Array>(
  { columns, data }: Matrix<Data>,
  top: number,
  bottom: number,
  left: number,
  right: number,
): Matrix<Data> {
  const width = right - left;
  const part = new (data.constructor as new (length: number) => Data)((bottom - top) * width);
  for (let row = top; row < bottom; row++) {
    part.set(data.subarray(row * columns + left, row * columns + right), (row - top) * width);
  }
  return { rows: bottom - top, columns: width, data: part };
}

/** Tiny sessions without weights; they stay open. */
function openProduct(type: "float32" | "float64", transA: boolean, transB: boolean): Promise<Session> {
  const graph = new GraphBuilder(new Map(), "");
  const a = graph.input("a", type, ["a_rows", "a_columns"]);
  const b = graph.input("b", type, ["b_rows", "b_columns"]);
  const product = graph.op("Gemm", [a, b], { transA: Number(transA), transB: Number(transB) });
  graph.output("c", product, type, ["rows", "columns"]);
  return openSession(graph.encode("product"));
}

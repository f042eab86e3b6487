/** The weights of linear layers in eight bits: where they lie in a file, and how they are rounded. */
import type { Gemma3Config } from "../checkpoint/config.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { gemma3Tensors } from "../checkpoint/tensor-names.ts";
import { placeWeights, type WeightLayout } from "../onnx/graph.ts";
import { headParts, type Part } from "./score-head.ts";

/** The file that graphs in eight bits expect beside the float32 weights; to be renamed when weights are rounded otherwise. */
export const int8File = "model.int8_data";

// Larger ones make answers a little nearer to float32's, and cost more.
const largestTurn = 32;
// Rows that are rounded before they are put into columns.
const tileRows = 64;

/** By name: `<weight>.integers`, int8 `[in, out]`, and `<weight>.scales`, float32 `[out]`. */
export function int8Layout(config: Gemma3Config): WeightLayout {
  const weights = gemma3Tensors(config).flatMap(({ name, shape }) =>
    rowsOf(name, shape, config).flatMap(({ weight, from, to }) => [
      { name: `${weight}.integers`, type: "int8" as const, shape: [shape[1]!, to - from], file: int8File },
      { name: `${weight}.scales`, type: "float32" as const, shape: [to - from], file: int8File },
    ]),
  );
  return placeWeights(weights);
}

/** The rows of a linear layer's weight that are multiplied at once; of another tensor, none. */
export function rowsOf(name: string, shape: readonly number[], config: Gemma3Config): Part[] {
  if (shape.length < 2) return [];
  return name === "model.embed_tokens.weight" ? headParts(config) : [{ weight: name, from: 0, to: shape[0]! }];
}

/**
 * How many neighbouring inputs of a linear layer are mixed before they are rounded, by a Hadamard matrix of this size over its root. It
 * spreads an input much larger than its neighbours over all of them, and as the weights' columns are mixed alike, products stay as they
 * are. Source: QuaRot (Ashkboos et al. 2024, arXiv 2404.00456), with blocks on the diagonal instead of one large matrix.
 */
export function turnSize(columns: number): number {
  return Math.min(columns & -columns, largestTurn);
}

/** A weight `[rows, columns]` in bfloat16 → integers from -127 to 127 `[columns, rows]`, and what each row is to be multiplied by. */
export function roundWeight(
  weights: Uint16Array,
  rows: number,
  columns: number,
): { integers: Int8Array; scales: Float32Array } {
  const integers = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  const tile = new Int8Array(tileRows * columns);
  const turned = new Float32Array(columns);
  const size = turnSize(columns);
  for (let first = 0; first < rows; first += tileRows) {
    const count = Math.min(tileRows, rows - first);
    for (let row = 0; row < count; row++) {
      const start = (first + row) * columns;
      bf16ToFloat32(weights.subarray(start, start + columns), turned);
      turnRow(turned, size);
      const peak = turned.reduce((highest, value) => Math.max(highest, Math.abs(value)), 0);
      const scale = Math.fround(peak / 127) || 1;
      scales[first + row] = scale;
      for (let column = 0; column < columns; column++) {
        tile[row * columns + column] = Math.round(turned[column]! / scale);
      }
    }
    for (let column = 0; column < columns; column++) {
      const start = column * rows + first;
      for (let row = 0; row < count; row++) integers[start + row] = tile[row * columns + column]!;
    }
  }
  return { integers, scales };
}

/** In place, by the fast Walsh-Hadamard transform. */
function turnRow(row: Float32Array, size: number): void {
  for (let half = 1; half < size; half *= 2) {
    for (let block = 0; block < row.length; block += 2 * half) {
      for (let i = block; i < block + half; i++) {
        const [a, b] = [row[i]!, row[i + half]!];
        row[i] = a + b;
        row[i + half] = a - b;
      }
    }
  }
  const factor = 1 / Math.sqrt(size);
  for (let i = 0; i < row.length; i++) row[i]! *= factor;
}

/** The order of the rows of `q_proj` and `k_proj` in Llama's GGUF files, where llama.cpp rotates neighbouring rows of a head against each other. */

import type { ModelConfig } from "./config.ts";
import { familyOf } from "./families.ts";

/** Whether a tensor's rows lie in GGUF's own order. */
export function hasPairedRows(config: ModelConfig, name: string): boolean {
  return familyOf(config).ggufPairsRows === true && /\.self_attn\.[qk]_proj\./.test(name);
}

/** Rows as GGUF has them → as Hugging Face has them, a head's first half before its second. Also of a bias, as rows of one column. */
export function unpairRows(data: Uint16Array, rows: number, headDim: number): Uint16Array {
  return reorder(data, rows, headDim, (own) => 2 * (own % (headDim / 2)) + Math.floor(own / (headDim / 2)));
}

/** The inverse. */
export function pairRows<T extends Uint16Array | Float32Array>(data: T, rows: number, headDim: number): T {
  return reorder(data, rows, headDim, (own) => (own % 2) * (headDim / 2) + Math.floor(own / 2));
}

function reorder<T extends Uint16Array | Float32Array>(
  data: T,
  rows: number,
  headDim: number,
  source: (own: number) => number,
): T {
  const columns = data.length / rows;
  const result = data.slice() as T;
  for (let row = 0; row < rows; row++) {
    const from = (row - (row % headDim) + source(row % headDim)) * columns;
    result.set(data.subarray(from, from + columns), row * columns);
  }
  return result;
}

/** Rounds blocks of weights to whole multiples of a step, and finds the step again where the weights are such multiples already. */

/** Weights that share a step. */
export const blockSize = 32;

/** 4 bits hold multiples from -8 to 7, 8 bits from -128 to 127. */
export type Bits = 4 | 8;

/**
 * The step of which all of `values` are whole multiples, of at most 7 or 127 either way; undefined where there is none. SparseGPT's joint mode
 * leaves such weights, so that they are stored without a second loss. All zeros have step 1.
 *
 * @param isExact - whether the step can be stored.
 */
export function findStep(
  values: Float32Array,
  bits: Bits,
  isExact: (step: number) => boolean = isFloat32,
): number | undefined {
  const largest = largestOf(values);
  if (largest === 0) return 1;
  for (let most = 2 ** (bits - 1) - 1; most >= 1; most--) {
    const step = largest / most;
    if (isExact(step) && values.every((value) => Number.isInteger(value / step))) return step;
  }
  return undefined;
}

const isFloat32 = (step: number) => Math.fround(step) === step;

/** Whether {@link findStep} has one for each block of a matrix's rows. */
export function liesOnGrid(values: Float32Array, columns: number, bits: Bits): boolean {
  if (columns % blockSize !== 0) return false;
  for (let from = 0; from < values.length; from += blockSize) {
    if (findStep(values.subarray(from, from + blockSize), bits) === undefined) return false;
  }
  return true;
}

/**
 * A step to round a block by: the largest weight becomes -8 (or -128) times it, as in llama.cpp's Q4_0 and ONNX Runtime's quantizer. May be
 * negative. 0 stays 0.
 */
export function coarseStep(values: Float32Array, bits: Bits): number {
  let extreme = 0;
  for (let i = 0; i < values.length; i++) if (Math.abs(values[i]!) > Math.abs(extreme)) extreme = values[i]!;
  return extreme === 0 ? 1 : extreme / -(2 ** (bits - 1));
}

/** The closest multiple of `step`, counted from -8 (or -128) on: 0 has code 8 (or 128). */
export function codeOf(value: number, step: number, bits: Bits): number {
  const zero = 1 << (bits - 1);
  // Cut, of what is above 0: several times as fast as Math.round.
  const code = (value / step + zero + 0.5) | 0;
  return code < 0 ? 0 : code >= 2 * zero ? 2 * zero - 1 : code;
}

export function largestOf(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  return largest;
}

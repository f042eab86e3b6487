/** Rounds blocks of weights to whole multiples of a step, and finds the step again where the weights are such multiples already. */

/** Weights that share a step. */
export const blockSize = 32;

/** 4 bits hold multiples from -8 to 7, 8 bits from -128 to 127. */
export type Bits = 4 | 8;

/**
 * The largest step of which all of `values` are whole multiples, of at most `most` either way; undefined if there is none. SparseGPT's joint mode
 * leaves such weights, which are then stored without a second loss.
 *
 * @param largest - the largest of the values' magnitudes.
 * @param isExact - whether the step can be stored.
 */
export function commonStep(
  values: Float32Array,
  largest: number,
  most: number,
  isExact: (step: number) => boolean,
): number | undefined {
  let common = 0;
  for (let i = 0; i < values.length; i++) {
    // Euclid's algorithm; remainders of floating-point numbers are exact.
    let rest = Math.abs(values[i]!);
    while (rest !== 0) [common, rest] = common === 0 ? [rest, 0] : [rest, common % rest];
    // Nearly always at the second value.
    if (common !== 0 && common * most < largest) return undefined;
  }
  if (common === 0) return undefined;
  // A part of it may be stored where the whole cannot.
  for (let part = 1; (common / part) * most >= largest; part++) if (isExact(common / part)) return common / part;
  return undefined;
}

/** {@link commonStep} in so many bits; of zeros alone it is 1. */
export function findStep(
  values: Float32Array,
  bits: Bits,
  isExact: (step: number) => boolean = isFloat32,
): number | undefined {
  const largest = largestOf(values);
  return largest === 0 ? 1 : commonStep(values, largest, 2 ** (bits - 1) - 1, isExact);
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

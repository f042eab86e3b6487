/**
 * ggml's block formats, expanded to float32 (layouts: ggml-common.h; arithmetic: ggml-quants.c, `dequantize_row_*`).
 *
 * The results are bit for bit those of float32 arithmetic, without Math.fround: every product here has at most 53 bits, so
 * a double holds it exactly, a sum of two such loses nothing that float32 would keep, and the store into a Float32Array
 * rounds once.
 */
import { bf16ToFloat32, float16Table, float16ToFloat32 } from "./half.ts";

/** A format: what a block holds, and how to expand `source` (whole blocks) into `target` (exactly their elements). */
export interface GgmlType {
  readonly name: string;
  /** Elements of a block; the innermost dimension of a tensor is a multiple of it. */
  readonly elements: number;
  /** Bytes of a block. */
  readonly bytes: number;
  readonly dequantize: (source: Uint8Array, target: Float32Array) => void;
}

/** By the number that a GGUF file has for it (`enum ggml_type` in ggml.h). */
export const ggmlTypes: ReadonlyMap<number, GgmlType> = new Map<number, GgmlType>([
  [0, { name: "F32", elements: 1, bytes: 4, dequantize: expandF32 }],
  [1, { name: "F16", elements: 1, bytes: 2, dequantize: expandF16 }],
  [2, { name: "Q4_0", elements: 32, bytes: 18, dequantize: dequantizeQ4_0 }],
  [3, { name: "Q4_1", elements: 32, bytes: 20, dequantize: dequantizeQ4_1 }],
  [6, { name: "Q5_0", elements: 32, bytes: 22, dequantize: dequantizeQ5_0 }],
  [7, { name: "Q5_1", elements: 32, bytes: 24, dequantize: dequantizeQ5_1 }],
  [8, { name: "Q8_0", elements: 32, bytes: 34, dequantize: dequantizeQ8_0 }],
  [10, { name: "Q2_K", elements: 256, bytes: 84, dequantize: dequantizeQ2_K }],
  [11, { name: "Q3_K", elements: 256, bytes: 110, dequantize: dequantizeQ3_K }],
  [12, { name: "Q4_K", elements: 256, bytes: 144, dequantize: dequantizeQ4_K }],
  [13, { name: "Q5_K", elements: 256, bytes: 176, dequantize: dequantizeQ5_K }],
  [14, { name: "Q6_K", elements: 256, bytes: 210, dequantize: dequantizeQ6_K }],
  [15, { name: "Q8_K", elements: 256, bytes: 292, dequantize: dequantizeQ8_K }],
  [30, { name: "BF16", elements: 1, bytes: 2, dequantize: expandBf16 }],
]);

function expandF32(source: Uint8Array, target: Float32Array): void {
  target.set(new Float32Array(source.buffer, source.byteOffset, target.length));
}

function expandF16(source: Uint8Array, target: Float32Array): void {
  float16ToFloat32(new Uint16Array(source.buffer, source.byteOffset, target.length), target);
}

function expandBf16(source: Uint8Array, target: Float32Array): void {
  bf16ToFloat32(new Uint16Array(source.buffer, source.byteOffset, target.length), target);
}

/** The float16 at `at`, as a number. */
function half(table: Float32Array, source: Uint8Array, at: number): number {
  return table[source[at]! | (source[at + 1]! << 8)]!;
}

/** {scale, 16 bytes of two nibbles}; the low nibbles are the first 16 elements. */
function dequantizeQ4_0(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  for (let at = 0, i = 0; i < target.length; at += 18, i += 32) {
    const d = half(table, source, at);
    for (let j = 0; j < 16; j++) {
      const q = source[at + 2 + j]!;
      target[i + j] = d * ((q & 15) - 8);
      target[i + 16 + j] = d * ((q >> 4) - 8);
    }
  }
}

/** {scale, minimum, 16 bytes of two nibbles}. */
function dequantizeQ4_1(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  for (let at = 0, i = 0; i < target.length; at += 20, i += 32) {
    const d = half(table, source, at);
    const m = half(table, source, at + 2);
    for (let j = 0; j < 16; j++) {
      const q = source[at + 4 + j]!;
      target[i + j] = d * (q & 15) + m;
      target[i + 16 + j] = d * (q >> 4) + m;
    }
  }
}

/** {scale, 32 fifth bits, 16 bytes of two nibbles}. */
function dequantizeQ5_0(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  for (let at = 0, i = 0; i < target.length; at += 22, i += 32) {
    const d = half(table, source, at);
    const low = source[at + 2]! | (source[at + 3]! << 8);
    const high = source[at + 4]! | (source[at + 5]! << 8);
    for (let j = 0; j < 16; j++) {
      const q = source[at + 6 + j]!;
      target[i + j] = d * (((q & 15) | (((low >> j) & 1) << 4)) - 16);
      target[i + 16 + j] = d * (((q >> 4) | (((high >> j) & 1) << 4)) - 16);
    }
  }
}

/** {scale, minimum, 32 fifth bits, 16 bytes of two nibbles}. */
function dequantizeQ5_1(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  for (let at = 0, i = 0; i < target.length; at += 24, i += 32) {
    const d = half(table, source, at);
    const m = half(table, source, at + 2);
    const low = source[at + 4]! | (source[at + 5]! << 8);
    const high = source[at + 6]! | (source[at + 7]! << 8);
    for (let j = 0; j < 16; j++) {
      const q = source[at + 8 + j]!;
      target[i + j] = d * ((q & 15) | (((low >> j) & 1) << 4)) + m;
      target[i + 16 + j] = d * ((q >> 4) | (((high >> j) & 1) << 4)) + m;
    }
  }
}

/** {scale, 32 signed bytes}. */
function dequantizeQ8_0(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  const signed = new Int8Array(source.buffer, source.byteOffset, source.length);
  for (let at = 0, i = 0; i < target.length; at += 34, i += 32) {
    const d = half(table, source, at);
    for (let j = 0; j < 32; j++) target[i + j] = d * signed[at + 2 + j]!;
  }
}

/** {16 bytes of scale and minimum nibbles, 64 bytes of four 2-bit values, scale, minimum}. */
function dequantizeQ2_K(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  for (let at = 0, i = 0; i < target.length; at += 84, i += 256) {
    const d = half(table, source, at + 80);
    const dMin = half(table, source, at + 82);
    for (let group = 0; group < 16; group++) {
      const scales = source[at + group]!;
      const scale = d * (scales & 15);
      const minimum = dMin * (scales >> 4);
      // Groups of 16: two to a row of 32 bytes, four rows (one per pair of bits) to a half of the block.
      const values = at + 16 + 32 * (group >> 3) + 16 * (group & 1);
      const shift = group & 6;
      for (let j = 0; j < 16; j++) {
        target[i + 16 * group + j] = scale * ((source[values + j]! >> shift) & 3) - minimum;
      }
    }
  }
}

/** {32 bytes of third bits (set: nothing is taken off), 64 bytes of four 2-bit values, 16 6-bit scales, scale}. */
function dequantizeQ3_K(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  for (let at = 0, i = 0; i < target.length; at += 110, i += 256) {
    const d = half(table, source, at + 108);
    const scales = at + 96;
    for (let group = 0; group < 16; group++) {
      const low = (source[scales + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15;
      const high = (source[scales + 8 + (group & 3)]! >> (2 * (group >> 2))) & 3;
      const scale = d * ((low | (high << 4)) - 32);
      const values = at + 32 + 32 * (group >> 3) + 16 * (group & 1);
      const shift = group & 6;
      const masks = at + 16 * (group & 1);
      const bit = group >> 1;
      for (let j = 0; j < 16; j++) {
        const off = ((source[masks + j]! >> bit) & 1) === 1 ? 0 : 4;
        target[i + 16 * group + j] = scale * (((source[values + j]! >> shift) & 3) - off);
      }
    }
  }
}

/** The 6-bit scale of one of eight groups, out of the 12 bytes at `at`; the minimum likewise, from `at + 4` on. */
function sixBits(source: Uint8Array, at: number, group: number, isMinimum: boolean): number {
  const own = at + (isMinimum ? 4 : 0) + (group & 3);
  if (group < 4) return source[own]! & 63;
  const shared = source[at + 8 + (group & 3)]!;
  return (isMinimum ? shared >> 4 : shared & 15) | ((source[own]! >> 2) & 48);
}

/** {scale, minimum, eight 6-bit scales and minimums, 128 bytes of two nibbles}. */
function dequantizeQ4_K(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  for (let at = 0, i = 0; i < target.length; at += 144, i += 256) {
    const d = half(table, source, at);
    const dMin = half(table, source, at + 2);
    for (let group = 0; group < 8; group++) {
      const scale = d * sixBits(source, at + 4, group, false);
      const minimum = dMin * sixBits(source, at + 4, group, true);
      const values = at + 16 + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      for (let j = 0; j < 32; j++) {
        target[i + 32 * group + j] = scale * ((source[values + j]! >> shift) & 15) - minimum;
      }
    }
  }
}

/** {scale, minimum, eight 6-bit scales and minimums, 32 bytes of fifth bits, 128 bytes of two nibbles}. */
function dequantizeQ5_K(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  for (let at = 0, i = 0; i < target.length; at += 176, i += 256) {
    const d = half(table, source, at);
    const dMin = half(table, source, at + 2);
    for (let group = 0; group < 8; group++) {
      const scale = d * sixBits(source, at + 4, group, false);
      const minimum = dMin * sixBits(source, at + 4, group, true);
      const values = at + 48 + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      for (let j = 0; j < 32; j++) {
        const q = ((source[values + j]! >> shift) & 15) | (((source[at + 16 + j]! >> group) & 1) << 4);
        target[i + 32 * group + j] = scale * q - minimum;
      }
    }
  }
}

/** {128 bytes of two low nibbles, 64 bytes of four upper 2-bit values, 16 signed scales, scale}. */
function dequantizeQ6_K(source: Uint8Array, target: Float32Array): void {
  const table = float16Table();
  const signed = new Int8Array(source.buffer, source.byteOffset, source.length);
  for (let at = 0, i = 0; i < target.length; at += 210, i += 256) {
    const d = half(table, source, at + 208);
    for (let group = 0; group < 16; group++) {
      const scale = d * signed[at + 192 + group]!;
      // A half of the block: 64 low nibbles, then the 64 high ones of the same bytes; upper bits in rows of 32.
      const nibbles = at + 64 * (group >> 3) + 16 * (group & 3);
      const nibbleShift = group & 4;
      const uppers = at + 128 + 32 * (group >> 3) + 16 * (group & 1);
      const upperShift = group & 6;
      for (let j = 0; j < 16; j++) {
        const q = ((source[nibbles + j]! >> nibbleShift) & 15) | (((source[uppers + j]! >> upperShift) & 3) << 4);
        target[i + 16 * group + j] = scale * (q - 32);
      }
    }
  }
}

/** {float32 scale, 256 signed bytes, 16 int16 sums that only dot products use}. */
function dequantizeQ8_K(source: Uint8Array, target: Float32Array): void {
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  const signed = new Int8Array(source.buffer, source.byteOffset, source.length);
  for (let at = 0, i = 0; i < target.length; at += 292, i += 256) {
    const d = view.getFloat32(at, true);
    for (let j = 0; j < 256; j++) target[i + j] = d * signed[at + 4 + j]!;
  }
}

/**
 * ggml's symmetric block formats, written: 32 weights of a row share a float16 step, and zero is a multiple of it, so that pruned weights stay zero
 * (layouts: ggml-common.h).
 */
import { float16ToFloat32, float32ToBf16, float32ToFloat16 } from "../checkpoint/half.ts";
import { blockSize, commonStep } from "./block-steps.ts";

/** A type of ggml's that Prunelab writes. */
export interface GgmlWriter {
  readonly name: string;
  /** In a GGUF file (`enum ggml_type`). */
  readonly id: number;
  /** Elements of a block; rows are a multiple of it. */
  readonly elements: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** The most that a value is off, as a share of its block's largest, and as a share of itself. */
  readonly loss: readonly [ofLargest: number, ofItself: number];
  /** `values` (whole blocks) into `target` (exactly their bytes). */
  readonly encode: (values: Float32Array, target: Uint8Array) => void;
}

export const f32: GgmlWriter = {
  ...{ name: "F32", id: 0, elements: 1, bytes: 4, loss: [0, 0] },
  // -0 becomes 0.
  encode: (values, target) => target.set(bytesOf(values.map((value) => value + 0))),
};

export const f16: GgmlWriter = {
  ...{ name: "F16", id: 1, elements: 1, bytes: 2, loss: [0, 2 ** -11] },
  encode: (values, target) => target.set(bytesOf(float32ToFloat16(values.map((value) => value + 0)))),
};

export const bf16: GgmlWriter = {
  ...{ name: "BF16", id: 30, elements: 1, bytes: 2, loss: [0, 2 ** -8] },
  encode: (values, target) => target.set(bytesOf(float32ToBf16(values.map((value) => value + 0)))),
};

/** {step, 32 signed bytes}. */
export const q8_0: GgmlWriter = {
  ...{ name: "Q8_0", id: 8, elements: blockSize, bytes: 34, loss: [0.51 / 127, 0] },
  encode: (values, target) =>
    eachBlock(values, target, 34, { least: -127, most: 127, step: (extreme) => Math.abs(extreme) / 127 }, (q, at) => {
      for (let j = 0; j < blockSize; j++) target[at + 2 + j] = q[j]! & 255;
    }),
};

/** {step, 32 fifth bits, 16 bytes of two nibbles}. */
export const q5_0: GgmlWriter = {
  ...{ name: "Q5_0", id: 6, elements: blockSize, bytes: 22, loss: [1 / 16, 0] },
  encode: (values, target) =>
    eachBlock(values, target, 22, { least: -16, most: 15, step: (extreme) => extreme / -16 }, (q, at) => {
      target.fill(0, at + 2, at + 6);
      for (let j = 0; j < blockSize; j++) target[at + 2 + (j >> 3)]! |= ((q[j]! + 16) >> 4) << (j & 7);
      for (let j = 0; j < 16; j++) target[at + 6 + j] = ((q[j]! + 16) & 15) | (((q[j + 16]! + 16) & 15) << 4);
    }),
};

/** {step, 16 bytes of two nibbles}; the low nibbles are the first 16 elements. */
export const q4_0: GgmlWriter = {
  ...{ name: "Q4_0", id: 2, elements: blockSize, bytes: 18, loss: [1 / 8, 0] },
  encode: (values, target) =>
    eachBlock(values, target, 18, { least: -8, most: 7, step: (extreme) => extreme / -8 }, (q, at) => {
      for (let j = 0; j < 16; j++) target[at + 2 + j] = (q[j]! + 8) | ((q[j + 16]! + 8) << 4);
    }),
};

/** Which multiples of its step a block holds, and the step that its value of largest magnitude gets. */
interface Grid {
  readonly least: number;
  readonly most: number;
  readonly step: (extreme: number) => number;
}

/** Rounds each block and hands its multiples to `store` with the block's place in `target`; the step goes to the block's first two bytes. */
function eachBlock(
  values: Float32Array,
  target: Uint8Array,
  bytes: number,
  { least, most, step: coarse }: Grid,
  store: (multiples: Int8Array, at: number) => void,
): void {
  const multiples = new Int8Array(blockSize);
  const half = new Uint16Array(1);
  const rounded = new Float32Array(1);
  for (let from = 0, at = 0; from < values.length; from += blockSize, at += bytes) {
    const block = values.subarray(from, from + blockSize);
    let extreme = 0;
    for (let j = 0; j < blockSize; j++) if (Math.abs(block[j]!) > Math.abs(extreme)) extreme = block[j]!;
    rounded[0] = commonStep(block, Math.abs(extreme), most, isFloat16) ?? coarse(extreme);
    float32ToFloat16(rounded, half);
    const step = float16ToFloat32(half, rounded)[0]!;
    for (let j = 0; j < blockSize; j++) {
      multiples[j] = step === 0 ? 0 : Math.max(least, Math.min(most, Math.round(block[j]! / step)));
    }
    target[at] = half[0]! & 255;
    target[at + 1] = half[0]! >> 8;
    store(multiples, at);
  }
}

const isFloat16 = (step: number) => float16ToFloat32(float32ToFloat16(Float32Array.of(step)))[0] === step;

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

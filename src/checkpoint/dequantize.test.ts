import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { ggmlTypes } from "./dequantize.ts";

/**
 * Per type: where in a block its float16 numbers lie (or the upper half of its float32), the start of the sha256 of what
 * eight random blocks expand to, and the first, middle and last value. Made by gguf-py 0.19 and numpy 2.4:
 *
 *     elements, size = GGML_QUANT_SIZES[type]; x, raw = int(type) + 1, []
 *     for _ in range(8 * size):
 *         x = (x * 1664525 + 1013904223) % 2**32; raw.append(x >> 24)
 *     blocks = np.array(raw, np.uint8).reshape(8, size)
 *     for at in halves: blocks[:, at + 1] &= 0xBF  # no infinity, no NaN
 *     y = gguf.quants.dequantize(blocks, type)
 *     # Q8_K: y = blocks[:, :4].copy().view(np.float32) * blocks[:, 4:260].view(np.int8).astype(np.float32)
 *     hashlib.sha256(y.tobytes()).hexdigest()[:16], y.ravel()[[0, y.size // 2, -1]]
 */
const expected: Readonly<Record<string, readonly [halves: number[], digest: string, values: number[]]>> = {
  F32: [[2], "df5cb1502e10204a", [-2.409668695690925e-7, -1.0491959316920793e-33, 2.7142848732508718e-11]],
  F16: [[0], "2b7d88e371086f47", [0.3271484375, -0.203857421875, 0.201904296875]],
  BF16: [[0], "d835952dc09bfeb4", [6.171542851469855e-25, 6.5843576759221e-22, -2.2202730178833008e-6]],
  Q4_0: [[0], "fe31ec5fd7b480bc", [-0.0018091201782226562, -0.001125335693359375, -0.003582000732421875]],
  Q4_1: [[0, 2], "174e5647d7ebe75d", [-0.19904232025146484, -0.15777015686035156, 0.001069784164428711]],
  Q5_0: [[0], "f63235c33974066a", [0.1636962890625, -0.0032329559326171875, 15.4921875]],
  Q5_1: [[0, 2], "2a4aef35405d639b", [-0.3931956887245178, -0.03161287307739258, 0.030130386352539062]],
  Q8_0: [[0], "e91da978bc7d3b66", [-0.010347366333007812, -0.061516761779785156, -0.7785873413085938]],
  Q2_K: [[80, 82], "f7dffa1fba2c25dd", [-0.005710601806640625, 0.00043189525604248047, -0.2117919921875]],
  Q3_K: [[108], "779c093ee2bf8121", [-33.49609375, 1.4544525146484375, -0.009204864501953125]],
  Q4_K: [[0, 2], "bb95d76ce52a10dc", [7.070068359375, -21.114456176757812, 31.62457275390625]],
  Q5_K: [[0, 2], "21b3320aebdb8567", [-3.9006471633911133, -0.1494312286376953, -2.113894462585449]],
  Q6_K: [[208], "c1bf12f8e8e2194f", [-75.9515380859375, 14.288177490234375, 14.05322265625]],
  Q8_K: [[2], "9cf7c1fa33ce1424", [3.5040457753469496e-36, -5.710474953145306e-13, -8.101718600999163e-17]],
};

function randomBlocks(number: number, size: number, halves: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 * size);
  let x = number + 1;
  for (let i = 0; i < bytes.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  for (let block = 0; block < 8; block++) for (const at of halves) bytes[block * size + at + 1]! &= 0xbf;
  return bytes;
}

for (const [number, { name, elements, bytes, dequantize }] of ggmlTypes) {
  test(`${name} expands as gguf-py expands it, to the last bit`, () => {
    const [halves, digest, [first, middle, last]] = expected[name]!;
    const values = new Float32Array(8 * elements);
    dequantize(randomBlocks(number, bytes, halves), values);
    assert.deepEqual([values[0], values[values.length / 2], values.at(-1)], [first, middle, last]);
    const actual = createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
    assert.equal(actual.slice(0, 16), digest);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ggmlTypes } from "../checkpoint/dequantize.ts";
import { float16ToFloat32, float32ToFloat16 } from "../checkpoint/half.ts";
import { commonStep } from "./block-steps.ts";
import { type GgmlWriter, q4_0, q5_0, q8_0 } from "./ggml-blocks.ts";

function roundTrip(type: GgmlWriter, values: Float32Array): Float32Array {
  const bytes = new Uint8Array((values.length / type.elements) * type.bytes).fill(0xff);
  type.encode(values, bytes);
  const seen = new Float32Array(values.length);
  ggmlTypes.get(type.id)!.dequantize(bytes, seen);
  return seen;
}

const weight = fc.oneof(fc.constant(0), fc.float({ min: -4, max: 4, noNaN: true }));
const block = fc.array(weight, { minLength: 32, maxLength: 32 });

for (const type of [q8_0, q5_0, q4_0]) {
  test(`${type.name}: zeros stay zero, no weight is further off than said, and writing again changes nothing`, () => {
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 3 }), (blocks) => {
        const values = Float32Array.from(blocks.flat());
        const seen = roundTrip(type, values);
        for (const [i, value] of values.entries()) {
          const own = values.subarray(i - (i % 32), i - (i % 32) + 32);
          const largest = own.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
          if (value === 0) assert.equal(seen[i]! + 0, 0);
          // The step is a float16: its rounding counts as often as the largest multiple, and below 2^-14 it is absolute.
          assert.ok(Math.abs(seen[i]! - value) <= largest * type.loss[0] * 1.01 + 2 ** -17, `${value} -> ${seen[i]}`);
        }
      }),
    );
  });

  test(`${type.name}: whole multiples of a step come back exactly`, () => {
    const most = { Q8_0: 127, Q5_0: 15, Q4_0: 7 }[type.name]!;
    const multiple = fc.oneof(fc.constant(0), fc.integer({ min: -most, max: most }));
    const multiples = fc.array(multiple, { minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(
        multiples,
        fc.integer({ min: 16, max: 31 }),
        fc.integer({ min: -18, max: 0 }),
        (list, digits, power) => {
          const values = Float32Array.from(list, (x) => x * digits * 2 ** (power - 4));
          assert.deepEqual(
            roundTrip(type, values).map((x) => x + 0),
            values.map((x) => x + 0),
          );
        },
      ),
    );
  });
}

test("the common step is the largest, and there is none where the values have none that float16 holds", () => {
  const isFloat16 = (step: number) => float16ToFloat32(float32ToFloat16(Float32Array.of(step)))[0] === step;
  const of = (...values: number[]) =>
    commonStep(Float32Array.from(values), Math.max(...values.map(Math.abs)), 7, isFloat16);
  assert.equal(of(0, 0.75, -0.5, 0), 0.25);
  assert.equal(of(0, 0), undefined);
  assert.equal(of(1, 0.1), undefined);
  assert.equal(of(2 ** -30), undefined);
  assert.equal(of(8, 1), undefined);
  // 3 × 1,001 has more bits than float16, a third of it has not.
  assert.equal(of(3003, -6006), 1001);
});

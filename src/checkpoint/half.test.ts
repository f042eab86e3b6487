import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bf16ToFloat32, float16ToFloat32, float32ToBf16, float32ToFloat16, indexOfNonFinite } from "./half.ts";

const allBits = Uint16Array.from({ length: 65_536 }, (_, i) => i);
const float32 = (...bits: number[]) => new Float32Array(Uint32Array.from(bits).buffer);

test("every bfloat16 survives the way to float32 and back; NaN becomes quiet", () => {
  const back = float32ToBf16(bf16ToFloat32(allBits));
  for (const bits of allBits) {
    const isNan = (bits & 0x7fff) > 0x7f80;
    assert.equal(back[bits], isNan ? bits | 0x40 : bits);
  }
});

test("rounds to nearest, ties to even", () => {
  // The cases of torch's own test: halfway cases by the last kept bit, one off the tie, overflow, subnormals, NaN.
  const cases: [number, number][] = [
    [0x3f808000, 0x3f80], // tie, even below
    [0x3f818000, 0x3f82], // tie, odd below
    [0x3f808001, 0x3f81],
    [0x3f807fff, 0x3f80],
    [0xbf818000, 0xbf82],
    [0x3fffffff, 0x4000], // carries into the exponent
    [0x7f7fffff, 0x7f80], // beyond the largest: infinity
    [0x7f800000, 0x7f80],
    [0xff800000, 0xff80],
    [0x7f800001, 0x7fc0], // NaN whose low bits alone say so
    [0x7fffffff, 0x7fff],
    [0xffffffff, 0xffff],
    [0x00000001, 0x0000],
    [0x00008001, 0x0001],
    [0x80000000, 0x8000],
  ];
  const rounded = float32ToBf16(float32(...cases.map(([from]) => from)));
  assert.deepEqual(
    [...rounded].map((x) => x.toString(16)),
    cases.map(([, to]) => to.toString(16)),
  );
});

test("no bfloat16 is nearer than the one chosen", () => {
  fc.assert(
    fc.property(
      fc.float({ noNaN: true, noDefaultInfinity: true, max: Math.fround(3e38), min: -Math.fround(3e38) }),
      (x) => {
        const [bits] = float32ToBf16(Float32Array.of(x)) as unknown as [number];
        const [chosen, below, above] = bf16ToFloat32(Uint16Array.of(bits, bits - 1, bits + 1));
        assert.ok(Math.abs(chosen! - x) <= Math.abs(above! - x));
        if ((bits & 0x7fff) !== 0) assert.ok(Math.abs(chosen! - x) <= Math.abs(below! - x));
      },
    ),
  );
});

test("every float16 expands to its value", () => {
  const values = float16ToFloat32(allBits);
  for (const bits of allBits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const expected =
      exponent === 31
        ? fraction
          ? Number.NaN
          : sign * Infinity
        : exponent === 0
          ? sign * fraction * 2 ** -24
          : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
    assert.ok(Object.is(values[bits], expected), `${bits}: ${values[bits]} is not ${expected}`);
  }
});

test("writes at an offset, and refuses a target that is too short", () => {
  assert.deepEqual(float32ToBf16(Float32Array.of(1, -2), new Uint16Array(4), 1), Uint16Array.of(0, 0x3f80, 0xc000, 0));
  assert.deepEqual(bf16ToFloat32(Uint16Array.of(0x3f80), new Float32Array(2)), Float32Array.of(1, 0));
  assert.throws(() => float32ToBf16(new Float32Array(2), new Uint16Array(2), 1), RangeError);
  assert.throws(() => bf16ToFloat32(new Uint16Array(2), new Float32Array(1)), RangeError);
});

test("finds the first infinity or NaN", () => {
  assert.equal(indexOfNonFinite(Uint16Array.of(0, 0x7f7f, 0xff7f, 0x8000)), -1);
  for (const bits of [0x7f80, 0xff80, 0x7fc0, 0xffff, 0x7f81]) {
    assert.equal(indexOfNonFinite(Uint16Array.of(0, bits, bits)), 1);
  }
});

test("every float16 survives the way to float32 and back, and no other is nearer than the one chosen", () => {
  const values = float16ToFloat32(allBits);
  const back = float32ToFloat16(values);
  for (const bits of allBits) assert.equal(back[bits], (bits & 0x7fff) > 0x7c00 ? bits | 0x200 : bits);
  // Between neighbours: below the middle, on it (to the even one), above it; subnormals and the step to infinity too.
  for (let bits = 0; bits < 0x7c00; bits++) {
    const low = values[bits]!;
    const high = bits === 0x7bff ? 65_536 : values[bits + 1]!;
    const middle = (low + high) / 2;
    const around = Float32Array.of(middle * (1 - 2 ** -20), middle, middle * (1 + 2 ** -20), -middle);
    const even = bits % 2 === 0 ? bits : bits + 1;
    assert.deepEqual([...float32ToFloat16(around)], [bits, even, bits + 1, even | 0x8000], `${bits}`);
  }
  const ends = float32ToFloat16(Float32Array.of(1e30, -1e30, 1e-30, -1e-30));
  assert.deepEqual([...ends], [0x7c00, 0xfc00, 0, 0x8000]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { pythonRandom } from "./random.ts";

// Expected values: CPython 3.11.7, `r = random.Random(1234)`, `r.sample(range(population), count)` one after another.
const drawn: readonly [number, number, readonly number[]][] = [
  [39_905, 11, [28883, 7657, 490, 5940, 38156, 2288, 5500, 6450, 23241, 15519, 1142]],
  [39_905, 11, [2019, 1038, 22681, 31735, 30379, 9735, 5982, 11999, 7498, 958, 32970]],
  [30, 6, [15, 28, 7, 2, 21, 17]],
  [30, 6, [29, 14, 2, 19, 21, 27]],
  // 85 is the largest population for six draws that Python keeps as a list.
  [85, 6, [65, 74, 5, 34, 71, 8]],
  [86, 6, [82, 38, 61, 45, 34, 31]],
  [
    1119,
    25,
    [
      409, 928, 1085, 39, 1040, 144, 11, 683, 294, 968, 772, 342, 110, 156, 1016, 335, 154, 440, 295, 55, 709, 227,
      1084, 289, 625,
    ],
  ],
  [21, 5, [14, 1, 13, 8, 19]],
  [22, 5, [5, 8, 4, 9, 14]],
  [1, 1, [0]],
  [5, 5, [4, 3, 1, 2, 0]],
  [0, 0, []],
  [4_294_967_295, 2, [2503368040, 3506682143]],
];

test("draws what Python draws, by both of its ways, and goes on from there", () => {
  const random = pythonRandom(1234);
  for (const [population, count, expected] of drawn) assert.deepEqual(random.sample(population, count), expected);
});

test("takes Python's seeds", () => {
  assert.deepEqual(pythonRandom(0).sample(1000, 4), [864, 394, 776, 911]);
  assert.deepEqual(pythonRandom(1).sample(1000, 4), [137, 582, 867, 821]);
  assert.deepEqual(pythonRandom(2 ** 32 - 1).sample(1000, 4), [650, 634, 208, 220]);
  for (const seed of [-1, 0.5, 2 ** 32, Number.NaN]) assert.throws(() => pythonRandom(seed), RangeError);
});

test("agrees with Python over 13,000 numbers, past many turns of the twister", () => {
  const random = pythonRandom(7);
  let digest = 0;
  for (let turn = 0; turn < 500; turn++) {
    for (const value of random.sample(10_000, 26)) digest = (digest * 31 + value) % 1_000_003;
  }
  assert.equal(digest, 385_808);
});

test("refuses to draw more than there are", () => {
  assert.throws(() => pythonRandom(1).sample(3, 4), /cannot draw 4 of 3/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { percent, points, pValue } from "./numbers.ts";

test("shares and changes have one digit, and no sign on nothing", () => {
  assert.deepEqual([0.435, 0, 1].map(percent), ["43.5", "0.0", "100.0"]);
  assert.deepEqual([-0.14, 0.0397, 0, -0.0004, 0.0004].map(points), ["-14.0", "+4.0", "0.0", "0.0", "0.0"]);
});

test("p-values keep the digits that matter", () => {
  assert.deepEqual([1, 0.76, 0.0312, 0.00417, 0.0001, 0.00009, 0].map(pValue), [
    "1.00",
    "0.76",
    "0.031",
    "0.0042",
    "0.0001",
    "<0.0001",
    "<0.0001",
  ]);
  assert.equal(pValue(0.04996), "<0.05");
});

test("a printed p is below 0.05 just when p is", () => {
  const probability = fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0.0499, max: 0.0501, noNaN: true }),
  );
  fc.assert(
    fc.property(probability, (p) => assert.equal(pValue(p).startsWith("<") || Number(pValue(p)) < 0.05, p < 0.05)),
  );
});

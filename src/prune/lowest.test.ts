import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type SpanPattern, zeroLowest } from "./lowest.ts";

/** By sorting, stably: what goes has the lowest score, of equal ones the lower index. */
function expected(scores: readonly number[], span: number, count: number): boolean[] {
  return scores.map((_, index) => {
    const from = index - (index % span);
    const order = [...scores.slice(from, from + span).keys()].sort((a, b) => scores[from + a]! - scores[from + b]!);
    return order.indexOf(index - from) >= count;
  });
}

const score = fc.oneof(fc.constantFrom(0, 1, 2), fc.float({ min: 0, noNaN: true }).map(Math.abs));

test("exactly the lowest go, in the tensor, in each row, in each group", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.constantFrom(4, 8, 20, 40),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      fc.infiniteStream(score),
      (rows, columns, sparsity, stream) => {
        const scores = Float32Array.from({ length: rows * columns }, () => stream.next().value as number);
        const cases: [SpanPattern, number, number][] = [
          ["tensor", rows * columns, Math.round(rows * columns * sparsity)],
          ["row", columns, Math.round(columns * sparsity)],
          [{ zeros: 1, of: 4 }, 4, 1],
          [{ zeros: 3, of: columns }, columns, 3],
        ];
        for (const [pattern, span, count] of cases) {
          const weights = new Float32Array(scores.length).fill(1);
          zeroLowest(weights, scores, columns, pattern, sparsity);
          assert.deepEqual([...weights].map(Boolean), expected([...scores], span, count));
        }
      },
    ),
  );
});

test("a tensor of many weights, a tensor of equal scores", () => {
  const scores = Float32Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 100_000);
  const weights = new Float32Array(scores.length).fill(1);
  zeroLowest(weights, scores, 1000, "tensor", 0.3);
  assert.ok(weights.every((weight, index) => (weight === 0) === scores[index]! < 30_000));
  zeroLowest(weights.fill(1), scores.fill(5), 1000, "row", 0.25);
  assert.ok(weights.every((weight, index) => (weight === 0) === index % 1000 < 250));
});

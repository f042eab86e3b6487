import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shareOut } from "./owl.ts";

test("the paper's formula: more outliers, less sparsity, 0.16 between the ends", () => {
  // keep = r - mean(r) + (1 - s) with r = 0, 0.08, 0.16
  assert.deepEqual(
    shareOut([0.01, 0.02, 0.03], [7, 7, 7], 0.5).map((value) => Number(value.toFixed(12))),
    [0.58, 0.5, 0.42],
  );
  assert.deepEqual(shareOut([0.3, 0.3], [1, 2], 0.6), [0.6, 0.6]);
});

test("each is a sparsity, and their mean over the weights is the one asked for", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(share, fc.integer({ min: 1, max: 1000 })), { minLength: 1 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (blocks, sparsity) => {
        const counts = blocks.map(([, count]) => count);
        const budgets = shareOut(
          blocks.map(([share]) => share),
          counts,
          sparsity,
        );
        assert.ok(budgets.every((value) => value >= -1e-12 && value < 1));
        const zeros = budgets.reduce((sum, value, index) => sum + value * counts[index]!, 0);
        assert.ok(Math.abs(zeros / counts.reduce((sum, count) => sum + count, 0) - sparsity) < 1e-9);
      },
    ),
  );
});

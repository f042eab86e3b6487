import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shareOut } from "./owl.ts";

test("the paper's formula: more outliers, less sparsity, 0.16 between the ends", () => {
  // keep = r - mean(r) + (1 - s) with r = 0, 0.08, 0.16
  assert.deepEqual(
    shareOut([0.01, 0.02, 0.03], 0.5).map((value) => Number(value.toFixed(12))),
    [0.58, 0.5, 0.42],
  );
  assert.deepEqual(shareOut([0.3, 0.3], 0.6), [0.6, 0.6]);
});

test("each is a sparsity, and their mean is the one asked for", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(share, { minLength: 1 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (shares, sparsity) => {
        const budgets = shareOut(shares, sparsity);
        assert.ok(budgets.every((value) => value >= -1e-12 && value < 1));
        assert.ok(Math.abs(budgets.reduce((sum, value) => sum + value, 0) / budgets.length - sparsity) < 1e-9);
      },
    ),
  );
});

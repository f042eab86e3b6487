import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tinyModel } from "../base/testing.test-helper.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { maskDifference } from "./mask.ts";
import { prune } from "./prune.ts";
import { sparsityReport } from "./sparsity.ts";
import { weightHistogram } from "./weight-histogram.ts";

const dense = await openCheckpointFile(tinyModel);
const pruned = await prune(dense, { method: "magnitude", sparsity: 0.5 });

test("every weight is in its bin, a zero, or outside", async () => {
  const scope = /layers\.0\.mlp\.up_proj/;
  const values = bf16ToFloat32((await pruned.read("model.layers.0.mlp.up_proj.weight")).data);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 50 }),
      fc.double({ min: 1e-3, max: 0.2, noNaN: true }),
      async (bins, limit) => {
        const { edges, counts, zeros, outside, count } = await weightHistogram(pruned, { scope, bins, limit });
        assert.equal(count, values.length);
        assert.equal(zeros, values.filter((value) => value === 0).length);
        const expected = edges
          .slice(1)
          .map((end, bin) => values.filter((v) => v !== 0 && v >= edges[bin]! && v < end).length);
        assert.deepEqual(counts, expected);
        assert.equal(outside, count - zeros - counts.reduce((sum, part) => sum + part, 0));
      },
    ),
    { numRuns: 20 },
  );
});

test("bins and limit are checked", async () => {
  await assert.rejects(weightHistogram(dense, { bins: 0 }), /invalid bins; .*: 0; choose e\.g\. 120$/);
  await assert.rejects(weightHistogram(dense, { limit: Number.NaN }), /invalid limit; .*: NaN; choose/);
  await assert.rejects(weightHistogram(dense, { scope: "nothing" }), /scope matches no tensor/);
});

test("masks differ where the zeros do", async () => {
  const random = await prune(dense, { method: "random", sparsity: 0.5, seed: 3 });
  const rows = await maskDifference(pruned, random);
  const zeros = (await sparsityReport(random)).tensors;
  for (const [index, { name, part, layer, count, onlyA, onlyB, both, disagreement }] of rows.entries()) {
    assert.equal(name, `model.layers.${layer}.${part}.weight`);
    assert.equal(onlyB + both, zeros[index]!.zeros);
    assert.equal(onlyA + both, Math.round(count / 2));
    assert.ok(disagreement > 0.3 && disagreement < 0.7);
  }
  assert.ok((await maskDifference(pruned, pruned)).every(({ disagreement }) => disagreement === 0));
});

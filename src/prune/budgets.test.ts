import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { namedBudgets, shareOut } from "./budgets.ts";

const infos = ["q_proj", "k_proj", "v_proj", "o_proj"].flatMap((layer, index) =>
  [0, 1].map((block) => ({ name: `model.layers.${block}.self_attn.${layer}.weight`, shape: [2 + index, 6] })),
);

test("named tensors get what their key says, the first key first, and the others make up for it", () => {
  const budgets = namedBudgets(infos, { "0.*k_proj": 0, "[kv]_proj": 0.25 }, 0.5);
  assert.equal(budgets.get("model.layers.0.self_attn.k_proj.weight"), 0);
  assert.equal(budgets.get("model.layers.1.self_attn.k_proj.weight"), 0.25);
  assert.equal(budgets.get("model.layers.1.self_attn.v_proj.weight"), 0.25);
  // 168 weights, of which 84 go: 18 k_proj keep all, 18 + 48 lose a quarter; the other 84 lose 67.5.
  assert.equal(budgets.get("model.layers.0.self_attn.q_proj.weight"), 67.5 / 84);
});

test("the whole has the sparsity asked for, or the budgets are refused", () => {
  const share = fc.double({ min: 0, max: 0.999, noNaN: true });
  fc.assert(
    fc.property(share, share, share, (k, v, sparsity) => {
      let budgets: ReadonlyMap<string, number>;
      try {
        budgets = namedBudgets(infos, { k_proj: k, v_proj: v }, sparsity);
      } catch (error) {
        assert.match(String(error), /budgets do not leave the whole at/);
        // 36 weights of k_proj and 48 of v_proj among 168.
        const rest = (168 * sparsity - 36 * k - 48 * v) / 84;
        assert.ok(rest < 0 || rest >= 1);
        return;
      }
      const zeros = infos.reduce((sum, { name, shape }) => sum + budgets.get(name)! * shape[0]! * shape[1]!, 0);
      assert.ok(Math.abs(zeros / 168 - sparsity) < 1e-9);
    }),
  );
});

test("a key without a tensor, and keys for all of them, are refused", () => {
  assert.throws(() => namedBudgets(infos, { up_proj: 0.5 }, 0.5), /budget matches no tensor in scope: up_proj/);
  assert.throws(() => namedBudgets(infos, { "": 0.5 }, 0.5), /budgets name every tensor/);
});

test("owl: the paper's formula: more outliers, less sparsity, 0.16 between the ends", () => {
  // keep = r - mean(r) + (1 - s) with r = 0, 0.08, 0.16
  assert.deepEqual(
    shareOut([0.01, 0.02, 0.03], [7, 7, 7], 0.5).map((value) => Number(value.toFixed(12))),
    [0.58, 0.5, 0.42],
  );
  assert.deepEqual(shareOut([0.3, 0.3], [1, 2], 0.6), [0.6, 0.6]);
});

test("owl: each is a sparsity, and their mean over the weights is the one asked for", () => {
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

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectedModels, randomModel } from "../checkpoint/random-model.test-helper.ts";
import { pruningMethods } from "./methods/methods.ts";
import { prune } from "./prune.ts";
import { sparsityReport } from "./sparsity.ts";

const windows = [1, 2, 3, 4].map((seed) => Array.from({ length: 24 }, (_, i) => 3 + ((i * 7919 * seed + i) % 90)));

for (const name of Object.keys(expectedModels)) {
  test(`${name}: every method prunes it to the share asked for`, async () => {
    const dense = await randomModel(name);
    for (const { name: method } of pruningMethods) {
      const pruned = await prune(dense, {
        method: method as "wanda",
        sparsity: 0.5,
        calibration: { tokenIds: windows },
      });
      const { scope, tensors } = await sparsityReport(pruned);
      assert.ok(Math.abs(scope.sparsity - 0.5) < 0.02, `${method}: ${scope.sparsity}`);
      assert.equal(tensors.length, 7 * dense.config.num_hidden_layers);
    }
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { bfloat16, linear, memoryCheckpoint } from "./memory-checkpoint.test-helper.ts";
import { prune } from "./prune.ts";
import { sparsityReport } from "./sparsity.ts";

const embedding = { name: "model.embed_tokens.weight", shape: [2, 4], data: bfloat16(0, 2, 3, 4, 5, 6, 7, 8) };
const checkpoint = memoryCheckpoint(
  embedding,
  linear(bfloat16(1, 2, 3, 4), 2, "self_attn.q_proj", 1),
  linear(bfloat16(0, -0, 3, 4), 2, "mlp.up_proj", 0),
  linear(bfloat16(0, 2, 3, 4), 2, "mlp.down_proj", 0),
);

test("the report of a pruning says what is zero per tensor, per layer and of the whole model", async () => {
  const { report } = await prune(checkpoint, { method: "magnitude", sparsity: 0.5 });
  assert.deepEqual(
    report.tensors.map(({ name, zeros, newZeros }) => [name.split(".").at(-2), zeros, newZeros]),
    [
      ["q_proj", 2, 2],
      ["up_proj", 2, 0],
      ["down_proj", 2, 1],
    ],
  );
  assert.deepEqual(report.layers, [
    { layer: 0, count: 8, zeros: 4, newZeros: 1, sparsity: 0.5 },
    { layer: 1, count: 4, zeros: 2, newZeros: 2, sparsity: 0.5 },
  ]);
  assert.deepEqual(report.scope, { count: 12, zeros: 6, newZeros: 3, sparsity: 0.5 });
  assert.equal(report.modelCount, 20);
  assert.deepEqual([report.scopeShare, report.zeroShare, report.newZeroShare], [0.6, 0.3, 0.15]);
  assert.equal(
    report.markdown,
    [
      "6 of 12 weights in scope are zero (50.0 %); the scope is 60.0 % of all 20 weights, its zeros 30.0 %, those that pruning added 15.0 %.",
      "",
      "| layer | weights | zeros | sparsity |",
      "|---|---:|---:|---:|",
      "| 0 | 8 | 4 | 50.0 % |",
      "| 1 | 4 | 2 | 50.0 % |",
      "| all | 12 | 6 | 50.0 % |",
    ].join("\n"),
  );
});

test("the report of a checkpoint as it stands counts its zeros in any scope", async () => {
  const report = await sparsityReport(checkpoint, { scope: "embed|up_proj" });
  assert.deepEqual(
    report.layers.map(({ layer, zeros, newZeros }) => [layer, zeros, newZeros]),
    [
      [0, 2, 0],
      [null, 1, 0],
    ],
  );
  assert.match(report.markdown, /\| other \| 8 \| 1 \| 12\.5 % \|/);
  await assert.rejects(sparsityReport(checkpoint, { scope: "nothing" }), /scope matches no tensor/);
});

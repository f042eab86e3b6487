import assert from "node:assert/strict";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { maskDifference, maskOf } from "./mask.ts";
import { bfloat16, linear, memoryCheckpoint } from "./memory-checkpoint.test-helper.ts";

const up = linear(bfloat16(1, 0, -0, 4, 0, 6), 3, "mlp.up_proj", 1);
const down = linear(bfloat16(0, 2), 2);
const embedding = { name: "model.embed_tokens.weight", shape: [1, 2], data: bfloat16(0, 1) };

test("the mask has 1 for each kept weight of the linear layers, and 0 for zeros of either sign", async () => {
  const masks = await maskOf(memoryCheckpoint(embedding, down, up));
  assert.deepEqual(
    [...masks],
    [
      [down.name, Uint8Array.of(0, 1)],
      [up.name, Uint8Array.of(1, 0, 0, 1, 0, 1)],
    ],
  );
  const scoped = await maskOf(memoryCheckpoint(embedding, down), { scope: "embed" });
  assert.deepEqual([...scoped], [[embedding.name, Uint8Array.of(0, 1)]]);
  await assert.rejects(maskOf(memoryCheckpoint(down), { scope: "lm_head" }), PrunelabError);
});

test("two masks are compared tensor by tensor", async () => {
  const other = linear(bfloat16(0, 2, 0, 4, 0, 0), 3, "mlp.up_proj", 1);
  const rows = await maskDifference(memoryCheckpoint(up, embedding), memoryCheckpoint(other, embedding), {
    scope: "up_proj|embed",
  });
  assert.deepEqual(rows, [
    { name: up.name, layer: 1, part: "mlp.up_proj", count: 6, onlyA: 1, onlyB: 2, both: 2, disagreement: 0.5 },
    {
      ...{ name: embedding.name, layer: null, part: embedding.name },
      ...{ count: 2, onlyA: 0, onlyB: 0, both: 1, disagreement: 0 },
    },
  ]);
  await assert.rejects(maskDifference(memoryCheckpoint(up), memoryCheckpoint(linear([1, 2], 2, "mlp.up_proj", 1))), {
    name: "PrunelabError",
    message: `checkpoints of different shapes: ${up.name}: 6 and 2 weights; compare prunings of one model`,
  });
});

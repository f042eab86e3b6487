import assert from "node:assert/strict";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { planPruning, type WeightOptions } from "./options.ts";
import { type AllocateOptions, allocateWeights } from "./shared-weights.ts";

const infos = Array.from({ length: 9 }, (_, index) => ({
  name: `model.layers.${index}.mlp.up_proj.weight`,
  shape: [index === 4 ? 0 : 40 + index, 48],
}));

/** Weights with ties, zeros of both signs and all exponents that are finite. */
const bitsAt = (index: number) => Math.imul(index + 1, 0x9e3779b1) & (index % 3 === 0 ? 0x803f : 0xbfff);

async function pruned(options: WeightOptions, how: AllocateOptions): Promise<number[][]> {
  const weights = await allocateWeights(infos, how);
  for (const { data } of weights.tensors) for (let index = 0; index < data.length; index++) data[index] = bitsAt(index);
  await weights.prune(planPruning(options));
  const zeros = await weights.countZeros();
  assert.deepEqual(
    zeros,
    weights.tensors.map(({ data }) => data.filter((bits) => (bits & 0x7fff) === 0).length),
  );
  return weights.tensors.map(({ data }) => [...data]);
}

test("threads and memories change nothing about which weights go", async () => {
  const plans: WeightOptions[] = [
    { method: "magnitude", sparsity: 0.5 },
    { method: "magnitude", sparsity: 0.3, pattern: "global" },
    { method: "magnitude", sparsity: 0.7, pattern: "row" },
    { method: "magnitude", pattern: "2:4" },
    { method: "magnitude", pattern: "20:24" },
    { method: "random", sparsity: 0.5 },
    { method: "random", sparsity: 0.9, pattern: "global" },
    { method: "random", pattern: "4:8" },
  ];
  for (const plan of plans) {
    const alone = await pruned(plan, { threads: 1 });
    assert.notDeepEqual(alone, await pruned({ method: "magnitude", sparsity: 0 }, {}));
    assert.deepEqual(await pruned(plan, { threads: 3 }), alone);
    assert.deepEqual(await pruned(plan, { threads: 2, memoryBytes: 9_000 }), alone);
  }
});

test("a tensor beyond WebAssembly's 4 GiB is refused before memory is asked for", async () => {
  await assert.rejects(
    allocateWeights([{ name: "huge", shape: [2 ** 16, 2 ** 15] }]),
    new PrunelabError("tensor is too large to prune: huge: 2147483648 weights; leave it out of scope"),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PrunelabError } from "../errors.ts";
import { type AllocateOptions, allocateWeights, type Selection, type SpanPattern, zeroLowest } from "./select.ts";

const infos = Array.from({ length: 9 }, (_, index) => ({
  name: `model.layers.${index}.mlp.up_proj.weight`,
  shape: [index === 4 ? 0 : 40 + index, 48],
}));

/** Weights with ties, zeros of both signs and all exponents that are finite. */
const bitsAt = (index: number) => Math.imul(index + 1, 0x9e3779b1) & (index % 3 === 0 ? 0x803f : 0xbfff);

async function pruned(options: Partial<Selection>, how: AllocateOptions): Promise<number[][]> {
  const weights = await allocateWeights(infos, how);
  for (const { data } of weights.tensors) for (let index = 0; index < data.length; index++) data[index] = bitsAt(index);
  await weights.prune({ ...{ kernel: "magnitude", sparsity: 0.5, pattern: "tensor", seed: 0 }, ...options });
  const zeros = await weights.countZeros();
  assert.deepEqual(
    zeros,
    weights.tensors.map(({ data }) => data.filter((bits) => (bits & 0x7fff) === 0).length),
  );
  return weights.tensors.map(({ data }) => [...data]);
}

test("threads and memories change nothing about which weights go", async () => {
  const plans: Partial<Selection>[] = [
    { sparsity: 0.5 },
    { sparsity: 0.3, pattern: "global" },
    { sparsity: 0.7, pattern: "row" },
    { pattern: { zeros: 2, of: 4 } },
    { pattern: { zeros: 20, of: 24 } },
    { kernel: "random", sparsity: 0.5 },
    { kernel: "random", sparsity: 0.9, pattern: "global" },
    { kernel: "random", pattern: { zeros: 4, of: 8 } },
  ];
  for (const plan of plans) {
    const alone = await pruned(plan, { threads: 1 });
    assert.notDeepEqual(alone, await pruned({ sparsity: 0 }, {}));
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

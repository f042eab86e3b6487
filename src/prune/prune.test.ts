import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { modelFile, shared, skipWithoutModel, skipWithoutShared } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { PrunelabError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { bfloat16, linear, memoryCheckpoint } from "./memory-checkpoint.test-helper.ts";
import { type PruneOptions, type PruningPlan, planPruning } from "./options.ts";
import { prune, pruneAsPlanned } from "./prune.ts";

const isZero = (bits: number) => (bits & 0x7fff) === 0;
const zerosOf = (data: Uint16Array) => data.filter(isZero).length;
const weightsOf = async (bits: ArrayLike<number>, columns: number, options: PruneOptions) => {
  const tensor = linear(bits, columns);
  return (await (await prune(memoryCheckpoint(tensor), options)).read(tensor.name)).data;
};

/** Finite bfloat16 bits, from few magnitudes (many ties, zeros of both signs) or from all. */
const finite = fc.integer({ min: 0, max: 0xffff }).map((bits) => ((bits & 0x7f80) === 0x7f80 ? bits & 0x80ff : bits));
const tied = fc.constantFrom(0, 0x8000, 0x3f80, 0xbf80, 0x3f81, 1, 0x8001);
const matrix = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 12 }), fc.boolean())
  .chain(([columns, rows, ties]) =>
    fc.record({
      columns: fc.constant(columns),
      bits: fc.array(ties ? tied : finite, { minLength: rows * columns, maxLength: rows * columns }),
    }),
  );
const sparsities = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const methods = fc.constantFrom<PruneOptions["method"]>("magnitude", "random");
const patterns = fc.constantFrom("tensor" as const, "row" as const, "global" as const);

/** What pruning must do, by sorting: the indices that are zeroed among `from` to `to`. */
function smallest(bits: readonly number[], from: number, to: number, count: number): number[] {
  return Array.from({ length: to - from }, (_, offset) => from + offset)
    .sort((a, b) => (bits[a]! & 0x7fff) - (bits[b]! & 0x7fff) || a - b)
    .slice(0, count);
}
const zeroAt = (bits: readonly number[], indices: readonly number[]) => {
  const expected = Uint16Array.from(bits);
  for (const index of indices) expected[index] = 0;
  return expected;
};

test("magnitude per tensor, row and span zeroes what a stable sort zeroes, and keeps the rest bit by bit", async () => {
  await fc.assert(
    fc.asyncProperty(matrix, sparsities, async ({ bits, columns }, sparsity) => {
      const starts = Array.from({ length: bits.length / columns }, (_, row) => row * columns);
      const inSpans = (length: number, count: number) =>
        zeroAt(
          bits,
          starts.flatMap((start) => smallest(bits, start, start + length, count)),
        );
      const perTensor = await weightsOf(bits, columns, { method: "magnitude", sparsity });
      assert.deepEqual(perTensor, zeroAt(bits, smallest(bits, 0, bits.length, Math.round(bits.length * sparsity))));
      const perRow = await weightsOf(bits, columns, { method: "magnitude", sparsity, pattern: "row" });
      assert.deepEqual(perRow, inSpans(columns, Math.round(columns * sparsity)));
      const zeros = Math.floor(columns * sparsity);
      const perSpan = await weightsOf(bits, columns, { method: "magnitude", pattern: `${zeros}:${columns}` });
      assert.deepEqual(perSpan, inSpans(columns, zeros));
    }),
  );
});

test("global has one threshold over all tensors, ties going in the checkpoint's order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(matrix, { minLength: 1, maxLength: 4 }), sparsities, async (matrices, sparsity) => {
      const tensors = matrices.map(({ bits, columns }, layer) => linear(bits, columns, "mlp.up_proj", layer));
      const all = matrices.flatMap(({ bits }) => bits);
      const expected = zeroAt(all, smallest(all, 0, all.length, Math.round(all.length * sparsity)));
      const pruned = await prune(memoryCheckpoint(...tensors), { method: "magnitude", sparsity, pattern: "global" });
      const found = await Promise.all(tensors.map(async ({ name }) => [...(await pruned.read(name)).data]));
      assert.deepEqual(Uint16Array.from(found.flat()), expected);
    }),
  );
});

test("the count of zeros is exact whatever method and pattern, unless more were zero before", async () => {
  await fc.assert(
    fc.asyncProperty(matrix, sparsities, methods, patterns, async ({ bits, columns }, sparsity, method, pattern) => {
      const found = await weightsOf(bits, columns, { method, sparsity, pattern, seed: 7 });
      const length = pattern === "row" ? columns : bits.length;
      for (let start = 0; start < bits.length; start += length) {
        const before = bits.slice(start, start + length).filter(isZero).length;
        assert.equal(zerosOf(found.subarray(start, start + length)), Math.max(before, Math.round(length * sparsity)));
      }
    }),
  );
});

test("pruning again changes nothing, and a higher sparsity zeroes a superset", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(matrix, sparsities, sparsities, methods, patterns),
      async ([{ bits, columns }, a, b, method, pattern]) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const once = await weightsOf(bits, columns, { method, sparsity: low, pattern });
        assert.deepEqual(await weightsOf(once, columns, { method, sparsity: low, pattern }), once);
        const more = await weightsOf(bits, columns, { method, sparsity: high, pattern });
        assert.ok(once.every((value, index) => !isZero(value) || isZero(more[index]!)));
      },
    ),
  );
});

test("rows are pruned each for itself: permuting them permutes the result", async () => {
  await fc.assert(
    fc.asyncProperty(matrix, sparsities, async ({ bits, columns }, sparsity) => {
      const rowsOf = (data: ArrayLike<number>) =>
        Array.from({ length: data.length / columns }, (_, row) =>
          Array.prototype.slice.call(data, row * columns, (row + 1) * columns),
        );
      const options = { method: "magnitude", sparsity, pattern: "row" } as const;
      const there = rowsOf(await weightsOf(bits, columns, options)).reverse();
      assert.deepEqual(rowsOf(await weightsOf(rowsOf(bits).reverse().flat(), columns, options)), there);
    }),
  );
});

test("2:4 and 4:8 leave the largest of each group along the input dimension", async () => {
  const bits = bfloat16(1, -2, 3, -4, 4, 3, -2, 1);
  const two = bfloat16(0, 0, 3, -4, 4, 3, 0, 0);
  assert.deepEqual(await weightsOf(bits, 8, { method: "magnitude", pattern: "2:4" }), two);
  assert.deepEqual(await weightsOf(bits, 8, { method: "magnitude", pattern: "2:4", sparsity: 0.5 }), two);
  const ties = bfloat16(1, 1, 1, 1, 1, 1, 1, 1);
  const four = bfloat16(0, 0, 0, 0, 1, 1, 1, 1);
  assert.deepEqual(await weightsOf(ties, 8, { method: "magnitude", pattern: "4:8" }), four);
  assert.deepEqual(
    await weightsOf(bits, 8, { method: "magnitude", pattern: "1:4" }),
    bfloat16(0, -2, 3, -4, 4, 3, -2, 0),
  );
});

test("a large tensor of random weights loses exactly half, and the other half is where chance puts it", async () => {
  const bits = new Uint16Array(640 * 1024).fill(0x3f80);
  const first = await weightsOf(bits, 640, { method: "random", sparsity: 0.5, seed: 1 });
  const second = await weightsOf(bits, 640, { method: "random", sparsity: 0.5, seed: 2 });
  assert.equal(zerosOf(first), 320 * 1024);
  assert.deepEqual(await weightsOf(bits, 640, { method: "random", sparsity: 0.5, seed: 1 }), first);
  const both = first.filter((value, index) => isZero(value) && isZero(second[index]!)).length;
  // a quarter of 655,360; its standard deviation is about 200
  assert.ok(Math.abs(both - 163_840) < 2_000, `${both}`);
  const evenPlaces = first.filter((value, index) => index % 2 === 0 && isZero(value)).length;
  assert.ok(Math.abs(evenPlaces - 163_840) < 2_000, `${evenPlaces}`);
});

test("edges: one weight, all equal, all zero, nothing to do, -0", async () => {
  const magnitude = (sparsity: number, ...values: number[]) =>
    weightsOf(bfloat16(...values), values.length, { method: "magnitude", sparsity });
  assert.deepEqual(await magnitude(0.4, 3), bfloat16(3));
  assert.deepEqual(await magnitude(0.5, 3), bfloat16(0));
  assert.deepEqual(await magnitude(0.5, 2, 2, -2, 2), bfloat16(0, 0, -2, 2));
  assert.deepEqual(await magnitude(0.5, 0, 0, 0, 0), bfloat16(0, 0, 0, 0));
  assert.deepEqual(await magnitude(0, -0, 1), bfloat16(-0, 1));
  assert.deepEqual(await magnitude(0.5, 1, -0), bfloat16(1, 0));
});

test("the result is a checkpoint beside the untouched source, with its own name and digest", async () => {
  const down = linear(bfloat16(1, 2, 3, 4), 2);
  const embedding = { name: "model.embed_tokens.weight", shape: [2, 2], data: bfloat16(1, 2, 3, 4) };
  const dense = memoryCheckpoint(embedding, down);
  const half = await prune(dense, { method: "magnitude", sparsity: 0.5 });
  assert.equal(half.name, "test/memory-magnitude-50");
  assert.equal(half.tensors, dense.tensors);
  assert.deepEqual((await half.read(down.name)).data, bfloat16(0, 0, 3, 4));
  assert.equal(await half.read(embedding.name), embedding);
  assert.deepEqual(down.data, bfloat16(1, 2, 3, 4));
  const quarter = await prune(dense, { method: "magnitude", sparsity: 0.25 });
  const digests = await Promise.all([dense, half, quarter].map((checkpoint) => checkpoint.digest()));
  assert.equal(new Set(digests).size, 3);
  assert.equal((await (await prune(dense, { method: "magnitude", pattern: "1:2" })).digest()) === digests[1], false);
  assert.equal(
    await (await prune(dense, { method: "magnitude", pattern: "global", sparsity: 0.5 })).digest(),
    digests[1],
  );
  const named = await prune(dense, {
    method: "random",
    sparsity: 0.125,
    pattern: "row",
    seed: 3,
    scope: /embed_tokens/g,
  });
  assert.equal(named.name, "test/memory-random-row-12.5-seed3-embed_tokens");
  assert.equal((await prune(dense, { method: "magnitude", pattern: "1:2" })).name, "test/memory-magnitude-1of2");
});

test("progress counts the tensors", async () => {
  const seen: Progress[] = [];
  const tensors = [0, 1].map((layer) => linear(bfloat16(1, 2), 2, "self_attn.q_proj", layer));
  await prune(memoryCheckpoint(...tensors), { method: "magnitude", sparsity: 0.5, onProgress: (at) => seen.push(at) });
  assert.deepEqual(
    seen.map(({ done, total, unit }) => `${done}/${total} ${unit}`),
    ["0/2 tensors", "1/2 tensors", "2/2 tensors"],
  );
});

test("a method of weights alone that is a literal and nothing more", async () => {
  const plan = planPruning({ method: "magnitude", sparsity: 0.5 }) as PruningPlan;
  // The leftmost columns of each row.
  const method: PruningPlan["method"] = {
    ...{ name: "magnitude", needs: "nothing", pattern: "row", summary: "", source: "" },
    prune: ({ rows, columns, data }, _, { pattern, sparsity }) => {
      assert.equal(pattern, "tensor");
      for (let row = 0; row < rows; row++) data.fill(0, row * columns, row * columns + columns * sparsity);
    },
  };
  const tensors = [0, 1].map((layer) => linear(bfloat16(1, 2, 3, 4, 5, 6, 7, 8), 4, "mlp.up_proj", layer));
  const pruned = await pruneAsPlanned(memoryCheckpoint(...tensors), { ...plan, method });
  for (const { name } of tensors) {
    assert.deepEqual((await pruned.read(name)).data, bfloat16(0, 0, 3, 4, 0, 0, 7, 8));
  }
  assert.deepEqual([pruned.report.scope.zeros, pruned.report.scope.newZeros], [8, 8]);
});

test("weights alone are pruned on the CPU, whatever the device, and between tensors a signal is heeded", async () => {
  const dense = memoryCheckpoint(...[0, 1].map((layer) => linear(bfloat16(1, 2), 2, "mlp.up_proj", layer)));
  const notices: string[] = [];
  const options: PruneOptions = { method: "magnitude", sparsity: 0.5, onNotice: (line) => notices.push(line) };
  const half = await prune(dense, { ...options, device: "webgpu" });
  assert.equal(await half.digest(), await (await prune(dense, options)).digest());
  assert.deepEqual(notices, ["pruning by magnitude on the CPU: it looks at weights alone"]);
  const controller = new AbortController();
  const steps: number[] = [];
  const onProgress: PruneOptions["onProgress"] = ({ done }) => {
    steps.push(done);
    controller.abort(new Error("enough"));
  };
  await assert.rejects(prune(dense, { ...options, signal: controller.signal, onProgress }), /^Error: enough$/);
  assert.deepEqual(steps, [0]);
});

test("half of Gemma 3 270M's linear layers go as PyTorch zeroes them", {
  skip: skipWithoutShared || skipWithoutModel,
}, async () => {
  const reference = JSON.parse(await readFile(join(shared!, "reference/magnitude50.json"), "utf8"));
  const dense = await openCheckpointFile(modelFile!);
  const pruned = await prune(dense, { method: "magnitude", sparsity: 0.5 });
  const values = new Float32Array(Uint32Array.from({ length: 0x8000 }, (_, bits) => bits << 16).buffer);
  const found: Record<string, object> = {};
  for (const { name, count, zeros } of pruned.report.tensors) {
    const [before, after] = [(await dense.read(name)).data, (await pruned.read(name)).data];
    let [largestZeroed, smallestKept, sumKept] = [0, 0x7fff, 0];
    for (let index = 0; index < count; index++) {
      const magnitude = before[index]! & 0x7fff;
      if (after[index] === 0) largestZeroed = Math.max(largestZeroed, magnitude);
      else smallestKept = Math.min(smallestKept, magnitude);
      sumKept += values[after[index]! & 0x7fff]!;
    }
    // the reference summed in another order and precision
    const sum = reference.tensors[name].sumKept;
    if (Math.abs(sumKept - sum) < 1e-9 * sum) sumKept = sum;
    const thresholds = { largestZeroed: values[largestZeroed], smallestKept: values[smallestKept] };
    found[name] = { count, zeros, ...thresholds, sumKept };
  }
  assert.deepEqual(found, reference.tensors);
  assert.match(
    pruned.report.summary,
    /^50,135,040 of 100,270,080 .* 37\.4 % of all 268,098,176 weights, its zeros 18\.7 %/,
  );
});

test("mistakes are told in one sentence", async () => {
  const tensor = linear(bfloat16(1, 2, 3, 4, 5, 6), 6);
  const refused = (options: object, message: string) =>
    assert.rejects(prune(memoryCheckpoint(tensor), options as PruneOptions), (error) => {
      assert.ok(error instanceof PrunelabError);
      assert.equal(error.message, message);
      return true;
    });
  const method = "magnitude";
  for (const sparsity of [1.2, 1, -0.1, "half", Number.NaN, undefined]) {
    await refused({ method, sparsity }, `invalid sparsity; not a number in [0, 1): ${sparsity}; choose e.g. 0.5`);
  }
  await refused(
    { method: "wonder", sparsity: 0.5 },
    "unknown pruning method: wonder; choose one of magnitude, random, wanda, ria, sparsegpt, admm",
  );
  await refused(
    { method, sparsity: 0.5, pattern: "column" },
    "unknown pruning pattern: column; choose tensor, row, global or n:m such as 2:4",
  );
  await refused(
    { method, sparsity: 0.4, pattern: "2:4" },
    "sparsity does not fit the pattern: 0.4 with 2:4, which zeroes 0.5; leave sparsity out",
  );
  await refused({ method, pattern: "4:4" }, "invalid pattern; would zero 4 of every 4 weights: 4:4; choose e.g. 2:4");
  await refused(
    { method, pattern: "2:4" },
    "rows are not divisible by 4: model.layers.0.mlp.down_proj.weight: 6 columns; choose another pattern or leave it out of scope",
  );
  await refused(
    { method, sparsity: 0.5, device: "tpu" },
    "unknown device: tpu; choose one of cpu, webgpu, cuda, dml, coreml",
  );
  await refused(
    { method, sparsity: 0.5, quantize: { bits: 4 } },
    "magnitude cannot quantize; leave quantize out or choose sparsegpt",
  );
  const joint = { method: "sparsegpt", sparsity: 0.5 };
  await refused({ ...joint, quantize: { bits: 3 } }, "invalid quantize.bits: 3; choose 4 or 8");
  await refused(
    { ...joint, quantize: { bits: 4, blockSize: 0 } },
    "invalid quantize.blockSize: 0; choose an integer of at least 1",
  );
  for (const later of [{ refine: "swaps", reconstruct: false }, { reconstruct: true }]) {
    await refused(
      { ...joint, quantize: { bits: 4 }, ...later },
      "refine and reconstruct would leave the grid of quantize; leave them out",
    );
  }
  await refused(
    { ...joint, quantize: { bits: 4 } },
    "rows are not divisible by 32: model.layers.0.mlp.down_proj.weight: 6 columns; choose another quantize.blockSize or leave it out of scope",
  );
  await refused({ method: "random", sparsity: 0.5, seed: 0.5 }, "invalid seed; not an integer: 0.5; choose e.g. 0");
  await refused(
    { method, sparsity: 0.5, scope: "lm_head" },
    "scope matches no tensor of test/memory: /lm_head/; its names are like model.layers.0.mlp.down_proj.weight",
  );
  await refused(
    { method, sparsity: 0.5, scope: "(" },
    "invalid scope; not a regular expression: (; choose e.g. mlp.down_proj",
  );
});

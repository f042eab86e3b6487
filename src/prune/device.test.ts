import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { openDevice } from "./device.ts";
import { openGpu, pruneOnGpu } from "./gpu.ts";
import { type PruningPlan, planPruning, type WeightOptions } from "./options.ts";
import { allocateWeights, type SharedWeights } from "./shared-weights.ts";

const gpu = await openGpu({ allowSoftware: true });
after(() => gpu?.device.destroy());
const skip = gpu
  ? false
  : "no WebGPU device: install a GPU driver, or name SwiftShader's vk_swiftshader_icd.json in VK_ICD_FILENAMES";

const shapes = [
  [7, 48],
  [3, 2048],
  [1, 1],
  [0, 48],
  [65, 336],
  [5, 1200],
];

/** Tensors with ties, zeros of both signs and all finite exponents, an odd number of weights among them. */
async function someWeights(columns?: number): Promise<SharedWeights> {
  const infos = shapes.map(([rows, own], layer) => ({
    name: `model.layers.${layer}.mlp.up_proj.weight`,
    shape: [rows!, columns ?? own!],
  }));
  const weights = await allocateWeights(infos);
  for (const { data } of weights.tensors) {
    for (let index = 0; index < data.length; index++) {
      data[index] = Math.imul(index + 1, 0x9e3779b1) & (index % 3 === 0 ? 0x803f : 0xbfff);
    }
  }
  return weights;
}
const bitsOf = ({ tensors }: SharedWeights) => tensors.map(({ data }) => [...data]);

const plans: (WeightOptions & { columns?: number })[] = (["magnitude", "random"] as const).flatMap((method) => [
  { method, sparsity: 0 },
  { method, sparsity: 0.5 },
  { method, sparsity: 0.97, seed: 5 },
  { method, sparsity: 0.3, pattern: "global" },
  { method, sparsity: 0.7, pattern: "row" },
  { method, sparsity: 0.7, pattern: "row", columns: 1025 },
  { method, pattern: "2:4", columns: 64 },
  { method, pattern: "1:3", columns: 33 },
  { method, pattern: "20:24", columns: 72 },
]);

for (const pieceBytes of [undefined, 5000]) {
  test(`the GPU zeroes the same weights as the CPU, ${pieceBytes ? "in pieces" : "tensor by tensor"}`, {
    skip,
  }, async () => {
    for (const { columns, ...options } of plans) {
      const [onCpu, onGpu] = [await someWeights(columns), await someWeights(columns)];
      await onCpu.prune(planPruning(options));
      await pruneOnGpu(gpu!, onGpu.tensors, planPruning(options), pieceBytes ? { pieceBytes } : {});
      assert.deepEqual(bitsOf(onGpu), bitsOf(onCpu), JSON.stringify(options));
    }
  });
}

test("the GPU zeroes what the CPU zeroes in tensors of any size, together and each for itself", { skip }, async () => {
  const bits = fc.oneof(fc.constantFrom(0, 0x8000, 0x3f80, 0xbf80, 1), fc.integer({ min: 0, max: 0xffff }));
  const tensor = fc
    .tuple(fc.integer({ min: 0, max: 9 }), fc.constantFrom(4, 12, 36, 100, 700))
    .chain(([rows, columns]) =>
      fc.record({
        shape: fc.constant([rows, columns]),
        data: fc.array(bits, { minLength: rows * columns, maxLength: rows * columns, size: "max" }),
      }),
    );
  const options = fc.record({
    method: fc.constantFrom("magnitude" as const, "random" as const),
    seed: fc.integer({ min: 0, max: 9 }),
    selection: fc.oneof(
      fc.record({
        sparsity: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        pattern: fc.constantFrom("tensor" as const, "row" as const, "global" as const),
      }),
      fc.record({ pattern: fc.constantFrom("2:4" as const, "1:2" as const) }),
    ),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(tensor, { minLength: 1, maxLength: 3, size: "max" }),
      options,
      fc.constantFrom(undefined, 512),
      async (tensors, { selection, ...others }, pieceBytes) => {
        const plan = planPruning({ ...selection, ...others });
        const filled = async () => {
          const weights = await allocateWeights(tensors.map(({ shape }, layer) => ({ name: `${layer}`, shape })));
          for (const [layer, { data }] of weights.tensors.entries()) data.set(tensors[layer]!.data);
          return weights;
        };
        const [onCpu, onGpu] = [await filled(), await filled()];
        await onCpu.prune(plan);
        await pruneOnGpu(gpu!, onGpu.tensors, plan, pieceBytes ? { pieceBytes } : {});
        assert.deepEqual(bitsOf(onGpu), bitsOf(onCpu));
      },
    ),
    { numRuns: 60 },
  );
});

/** Prunes as `prune` does, and returns what was told. */
async function pruneOnDevice(weights: SharedWeights, plan: PruningPlan, open: typeof openGpu): Promise<string[]> {
  const notices: string[] = [];
  const device = await openDevice(plan.device, { onNotice: (line) => notices.push(line) }, open);
  for (let time = 0; time < 2; time++) {
    await device.run(
      (gpu) => pruneOnGpu(gpu, weights.tensors, plan),
      () => weights.prune(plan),
    );
  }
  device.close();
  return notices;
}

test("a lost device falls back with one line of notice", { skip }, async () => {
  for (const pattern of ["tensor", "global"] as const) {
    const plan = planPruning({ method: "magnitude", sparsity: 0.5, pattern, device: "webgpu" });
    const [onCpu, fallen] = [await someWeights(), await someWeights()];
    await onCpu.prune(plan);
    const notices = await pruneOnDevice(fallen, plan, async () => {
      const lost = await openGpu({ allowSoftware: true });
      // in the middle of the work
      setImmediate(() => lost?.device.destroy());
      return lost;
    });
    assert.equal(notices.length, 1);
    assert.match(notices[0]!, /^pruning goes on on the CPU, since the GPU failed: .+/);
    assert.deepEqual(bitsOf(fallen), bitsOf(onCpu));
  }
});

test("without a device the CPU prunes; only who asked for one is told", async () => {
  for (const [device, expected] of [
    ["webgpu", ["pruning on the CPU, since no WebGPU device was found"]],
    ["auto", []],
  ] as const) {
    const plan = planPruning({ method: "magnitude", sparsity: 0.5, device });
    const [onCpu, weights] = [await someWeights(), await someWeights()];
    await onCpu.prune(plan);
    assert.deepEqual(await pruneOnDevice(weights, plan, async () => null), expected);
    assert.deepEqual(bitsOf(weights), bitsOf(onCpu));
  }
});

test("a device that fails while it opens falls back with one line of notice", async () => {
  for (const wanted of ["webgpu", "auto"] as const) {
    const notices: string[] = [];
    const open = () => Promise.reject(new Error("no room on the device"));
    const device = await openDevice(wanted, { onNotice: (line) => notices.push(line) }, open);
    let onCpu = 0;
    await device.run(
      () => Promise.reject(new Error("there is no GPU")),
      () => void onCpu++,
    );
    device.close();
    assert.deepEqual([onCpu, notices], [1, ["pruning on the CPU, since the GPU failed: no room on the device"]]);
  }
});

test("an unknown device is refused with the known ones", () => {
  assert.throws(
    () => planPruning({ method: "magnitude", sparsity: 0.5, device: "tpu" as "cpu" }),
    /^PrunelabError: unknown device: tpu; choose one of cpu, auto, webgpu$/,
  );
});

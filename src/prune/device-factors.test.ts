import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { tinyModel } from "../base/testing.test-helper.ts";
import { bf16ToFloat32, float32ToBf16 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import type { Matrix } from "../onnx/matrix.ts";
import type { Device } from "./device.ts";
import { openGpu, pruneOnGpu } from "./gpu.ts";
import { riaFactors, type ScoreFactors, scoreBy, scoreMagnitude, wandaFactors } from "./importance.ts";
import { type SpanPattern, zeroLowest } from "./lowest.ts";
import { type CalibratedPlan, type PruneOptions, planPruning } from "./options.ts";
import { prune } from "./prune.ts";
import { pruneLinear, rememberInputs } from "./prune-linear.ts";

const gpu = await openGpu({ allowSoftware: true });
after(() => gpu?.device.destroy());
const skip = gpu
  ? false
  : "no WebGPU device: install a GPU driver, or name SwiftShader's vk_swiftshader_icd.json in VK_ICD_FILENAMES";

interface Case {
  readonly weights: Matrix;
  readonly squares: Float64Array;
  readonly pattern: SpanPattern;
  readonly sparsity: number;
}

function zeroOnCpu({ weights, pattern, sparsity }: Case, factors: ScoreFactors | undefined): Uint16Array {
  const { columns, data } = weights;
  const pruned = data.slice();
  zeroLowest(pruned, factors ? scoreBy(weights, factors) : scoreMagnitude(weights), columns, pattern, sparsity);
  return float32ToBf16(pruned);
}

async function zeroOnGpu(
  { weights: { rows, columns, data }, pattern, sparsity }: Case,
  factors: ScoreFactors | undefined,
  pieceBytes: number | undefined,
): Promise<Uint16Array> {
  const tensor = { name: "", shape: [rows, columns], data: float32ToBf16(data) };
  const selection = { method: factors ?? "magnitude", pattern, sparsity } as const;
  await pruneOnGpu(gpu!, [tensor], selection, pieceBytes ? { pieceBytes } : {});
  return tensor.data;
}

// All bit patterns: zeros of both signs, subnormal numbers, infinities and NaN too; or few, so that many scores tie.
const bits = fc.oneof(
  { arbitrary: fc.constantFrom(0, 0x8000, 0x3f80, 0xbf80, 0x3f81), weight: 2 },
  { arbitrary: fc.integer({ min: 0x3c00, max: 0x4000 }), weight: 4 },
  { arbitrary: fc.integer({ min: 0, max: 0xffff }), weight: 1 },
);
const square = fc.oneof(
  { arbitrary: fc.constantFrom(0, 1, 1e-80, 1e-70), weight: 1 },
  { arbitrary: fc.double({ min: 0, max: 1e4, noNaN: true }), weight: 3 },
);
const cases = fc
  .tuple(fc.integer({ min: 1, max: 7 }), fc.constantFrom(1, 16, 36, 64, 150, 300, 1100))
  .chain(([rows, columns]) =>
    fc.record({
      weights: fc
        .array(bits, { minLength: rows * columns, maxLength: rows * columns, size: "max" })
        .map((all) => ({ rows, columns, data: bf16ToFloat32(Uint16Array.from(all)) })),
      squares: fc
        .array(square, { minLength: columns, maxLength: columns, size: "max" })
        .map((all) => Float64Array.from(all)),
      pattern: fc.constantFrom<SpanPattern>(
        "tensor",
        "row",
        { zeros: Math.floor(columns / 2), of: columns },
        ...(columns % 4 === 0 ? [{ zeros: 2, of: 4 }] : []),
      ),
      sparsity: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    }),
  );

test("the GPU zeroes the same weights as the CPU for magnitude, wanda and ria, whole and in pieces", {
  skip,
}, async () => {
  await fc.assert(
    fc.asyncProperty(cases, fc.constantFrom(undefined, 512), async (one, pieceBytes) => {
      for (const factorsOf of [() => undefined, wandaFactors, riaFactors]) {
        const factors = factorsOf(one.weights, one.squares);
        assert.deepEqual(await zeroOnGpu(one, factors, pieceBytes), zeroOnCpu(one, factors));
      }
    }),
    { numRuns: 60 },
  );
});

test("a layer of Gemma's size: wanda's mask is the CPU's, ria's but for 1 weight in 100,000 at most", {
  skip,
}, async () => {
  const [rows, columns] = [640, 2048];
  const hash = (index: number) => Math.imul(Math.imul(index + 1, 0x9e3779b1) ^ (index >>> 7), 0x85ebca6b) >>> 0;
  const random = Float32Array.from({ length: rows * columns }, (_, index) => (hash(index) / 2 ** 31 - 1) / 16);
  const weights = { rows, columns, data: bf16ToFloat32(float32ToBf16(random)) };
  const squares = Float64Array.from({ length: columns }, (_, column) => hash(column) / 2 ** 20);
  for (const [factorsOf, pattern, most] of [
    [wandaFactors, "row", 0],
    [wandaFactors, { zeros: 2, of: 4 }, 0],
    [riaFactors, "tensor", rows * columns * 1e-5],
  ] as const) {
    const one = { weights, squares, pattern, sparsity: 0.5 };
    const factors = factorsOf(weights, squares);
    const [onGpu, onCpu] = [await zeroOnGpu(one, factors, undefined), zeroOnCpu(one, factors)];
    const apart = onGpu.filter((value, index) => (value === 0) !== (onCpu[index] === 0)).length;
    assert.ok(apart <= most, `${apart} of ${rows * columns}`);
    assert.equal(onGpu.filter((value) => (value & 0x7fff) === 0).length, (rows * columns) / 2);
  }
});

test("a layer is pruned on the device that is open, its weights of -0 left alone", { skip }, async () => {
  const weights = { rows: 1, columns: 4, data: Float32Array.of(1, -0, 2, 3) };
  const statistics = { squares: Float64Array.of(100, 1, 1, 9), sums: new Float64Array(4), tokens: 1 };
  const inputs = rememberInputs({ ...statistics, gram: undefined, cross: undefined });
  let runs = 0;
  const device: Device = {
    run: async (onGpu) => {
      runs++;
      await onGpu(gpu!);
    },
    close: () => {},
  };
  const plan = planPruning({ method: "wanda", sparsity: 0.5 }) as CalibratedPlan;
  const half = await pruneLinear(weights, inputs, plan, 0.5, device);
  assert.deepEqual([...half.data], [1, 0, 0, 3]);
  const none = await pruneLinear(weights, inputs, plan, 0.1, device);
  assert.deepEqual([...none.data], [1, -0, 2, 3]);
  assert.equal(runs, 2);
});

test("a calibrated run on the GPU ends as one on the CPU", { skip }, async () => {
  const previous = process.env.PRUNELAB_CACHE;
  const dense = await openCheckpointFile(tinyModel);
  const tokenIds = [Array.from({ length: 24 }, (_, i) => (i === 0 ? 2 : 4 + ((i * 7919) % 500)))];
  const runs: Omit<PruneOptions, "device">[] = [
    { method: "wanda", sparsity: 0.5 },
    { method: "wanda", pattern: "2:4", reconstruct: true },
    { method: "ria", sparsity: 0.3 },
    { method: "magnitude", sparsity: 0.5, budgets: "owl" },
    { method: "sparsegpt", sparsity: 0.5 },
  ];
  const digests: Record<string, string[]> = { cpu: [], webgpu: [] };
  const notices: string[] = [];
  for (const device of ["cpu", "webgpu"] as const) {
    // Each its own cache: a run is not repeated for another device.
    process.env.PRUNELAB_CACHE = await mkdtemp(join(tmpdir(), "prunelab-device-"));
    for (const run of runs) {
      const asked = { ...run, device, calibration: { tokenIds }, onNotice: (line: string) => void notices.push(line) };
      digests[device]!.push(await (await prune(dense, asked)).digest());
    }
    await rm(process.env.PRUNELAB_CACHE, { recursive: true });
  }
  if (previous === undefined) delete process.env.PRUNELAB_CACHE;
  else process.env.PRUNELAB_CACHE = previous;
  assert.deepEqual(digests.webgpu, digests.cpu);
  assert.deepEqual(notices, ["pruning on the CPU, where sparsegpt always runs"]);
});

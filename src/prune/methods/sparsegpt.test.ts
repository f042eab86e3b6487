import assert from "node:assert/strict";
import { test } from "node:test";
import { mersenne } from "pure-rand/generator/mersenne";
import { bf16ToFloat32, float32ToBf16 } from "../../checkpoint/half.ts";
import { type Matrix, multiply } from "../../onnx/matrix.ts";
import { inverseCholesky } from "../cholesky.ts";
import { zeroLowest } from "../select.ts";
import { inverseFactor, pruneSparseGpt, stepOf } from "./sparsegpt.ts";

/** Numbers about 0, always the same. */
function random(rows: number, columns: number, seed: number): Matrix<Float64Array> {
  const generator = mersenne(seed);
  const uniform = () => (generator.next() >>> 0) / 2 ** 32 - 0.5;
  return { rows, columns, data: Float64Array.from({ length: rows * columns }, () => uniform() + uniform()) };
}

/** Inputs that go together in pairs and threes, as a model's do. */
async function gramOf(columns: number, seed: number): Promise<Matrix<Float64Array>> {
  const mixed = await multiply(random(columns * 3, columns, seed), random(columns, columns, seed + 1));
  return await multiply(mixed, mixed, { transposeA: true });
}

const single = ({ rows, columns, data }: Matrix<Float64Array>): Matrix => ({
  rows,
  columns,
  data: Float32Array.from(data),
});

/** trace((W - V) G (W - V)ᵀ): the squared error of the layer's outputs. */
async function errorOf(dense: Matrix<Float64Array>, pruned: Matrix, gram: Matrix<Float64Array>): Promise<number> {
  const difference = { ...dense, data: dense.data.map((value, index) => value - pruned.data[index]!) };
  const seen = await multiply(difference, gram);
  return difference.data.reduce((sum, value, index) => sum + value * seen.data[index]!, 0);
}

test("the factor of the inverse is upper triangular and gives the inverse, over several blocks", async () => {
  for (const n of [1, 3, 64, 65, 200]) {
    const gram = await gramOf(n, n);
    const u = await inverseFactor(gram);
    const inverse = await multiply(u, u, { transposeA: true });
    let mean = 0;
    for (let i = 0; i < n; i++) mean += gram.data[i * n + i]! / n;
    const damped = {
      ...gram,
      data: gram.data.map((value, index) => value + (index % (n + 1) === 0 ? 0.01 * mean : 0)),
    };
    const { data } = await multiply({ ...inverse, data: Float64Array.from(inverse.data) }, damped);
    for (const [index, value] of data.entries()) {
      const identity = index % (n + 1) === 0 ? 1 : 0;
      assert.ok(Math.abs(value - identity) < 1e-3, `${n}: ${value} at ${index}`);
      if (index % n < Math.floor(index / n)) assert.equal(u.data[index], 0);
    }
  }
});

test("no Cholesky factor of what is not positive definite or not finite", async () => {
  for (const data of [
    [1, 2, 2, 1],
    [0, 0, 0, 0],
    [Number.NaN, 0, 0, 1],
  ]) {
    assert.equal(await inverseCholesky({ rows: 2, columns: 2, data: Float64Array.from(data) }), undefined);
  }
});

test("two columns that always carry the same: the one that stays takes the other's weight over", async () => {
  // x₀ = x₁, x₂ apart: zeroing one of the twins costs nothing if the other doubles, which is the optimum.
  const gram = { rows: 3, columns: 3, data: Float64Array.of(100, 100, 0, 100, 100, 0, 0, 0, 100) };
  const weights = { rows: 1, columns: 3, data: Float32Array.of(1, 1, 1) };
  await pruneSparseGpt(weights, await inverseFactor(gram), { pattern: "row", sparsity: 1 / 3 });
  const [twin, other, apart] = weights.data;
  assert.equal(twin, 0);
  assert.ok(Math.abs(other! - 2) < 0.02, `${other}`);
  assert.ok(Math.abs(apart! - 1) < 1e-6);
});

test("inputs that have nothing to do with each other: Wanda's mask, and the kept weights as they were", async () => {
  const gram = { rows: 4, columns: 4, data: Float64Array.of(1, 0, 0, 0, 0, 100, 0, 0, 0, 0, 4, 0, 0, 0, 0, 9) };
  const weights = { rows: 1, columns: 4, data: Float32Array.of(4, 1, 2.5, -1) };
  await pruneSparseGpt(weights, await inverseFactor(gram), { pattern: "row", sparsity: 0.5 });
  assert.deepEqual(
    [...weights.data],
    [0, 1, 2.5, 0].map((w, i) => (i === 0 ? 0 : w)).map((w, i) => (i === 3 ? 0 : w)),
  );
});

test("exact counts, and less error than magnitude with as many zeros, over blocks of 128", async () => {
  const dense = random(24, 320, 7);
  const gram = await gramOf(320, 9);
  const factor = await inverseFactor(gram);
  for (const pattern of ["tensor", "row", { zeros: 2, of: 4 }, { zeros: 1, of: 5 }] as const) {
    const sparsity = typeof pattern === "object" ? pattern.zeros / pattern.of : 0.55;
    const pruned = single(dense);
    await pruneSparseGpt(pruned, factor, { pattern, sparsity });
    const zeros = pruned.data.filter((value) => value === 0).length;
    assert.equal(zeros, Math.round(24 * 320 * sparsity), JSON.stringify(pattern));
    if (pattern !== "tensor") {
      const span = pattern === "row" ? 320 : pattern.of;
      for (let from = 0; from < pruned.data.length; from += span) {
        const inSpan = pruned.data.subarray(from, from + span).filter((value) => value === 0).length;
        assert.equal(inSpan, Math.round(span * sparsity));
      }
    }
    const byMagnitude = single(dense);
    zeroLowest(byMagnitude.data, byMagnitude.data.map(Math.abs), 320, pattern, sparsity);
    const [error, plain] = [await errorOf(dense, pruned, gram), await errorOf(dense, byMagnitude, gram)];
    assert.ok(error < 0.7 * plain, `${JSON.stringify(pattern)}: ${error} against ${plain}`);
  }
});

test("a singular Gram matrix and a dead column", async () => {
  const gram = { rows: 3, columns: 3, data: Float64Array.of(1, 1, 0, 1, 1, 0, 0, 0, 0) };
  const factor = await inverseFactor(gram);
  assert.ok(factor.data.every(Number.isFinite));
  const all = await inverseFactor({ rows: 2, columns: 2, data: new Float64Array(4) });
  assert.ok(all.data.every(Number.isFinite));
});

test("sparsity 0 changes nothing", async () => {
  const dense = random(4, 130, 3);
  const weights = single(dense);
  await pruneSparseGpt(weights, await inverseFactor(await gramOf(130, 4)), { pattern: "tensor", sparsity: 0 });
  assert.deepEqual(weights, single(dense));
});

test("joint mode: zeros stay zero, what is kept lies on its block's grid, with no pruning less error than rounding alone makes", async () => {
  const dense = random(24, 320, 11);
  const gram = await gramOf(320, 12);
  const factor = await inverseFactor(gram);
  for (const bits of [4, 8] as const) {
    for (const [pattern, sparsity] of [
      ["tensor", 0],
      ["tensor", 0.5],
      ["row", 0.5],
      [{ zeros: 2, of: 4 }, 0.5],
      [{ zeros: 1, of: 5 }, 0.2],
    ] as const) {
      const what = `${bits} bits, ${sparsity}, ${JSON.stringify(pattern)}`;
      const joint = single(dense);
      await pruneSparseGpt(joint, factor, { pattern, sparsity, quantize: { bits, blockSize: 32 } });
      assert.deepEqual(bf16ToFloat32(float32ToBf16(joint.data)), joint.data, what);
      assert.ok(joint.data.filter((weight) => weight === 0).length >= Math.round(24 * 320 * sparsity), what);
      for (let from = 0; from < joint.data.length; from += 32) {
        const block = joint.data.subarray(from, from + 32);
        // The step is not written down, but it divides all: one of the largest weight's parts.
        const largest = block.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
        const most = 2 ** (bits - 1) - 1;
        const parts = Array.from({ length: most }, (_, index) => largest / (index + 1));
        const fits = (step: number) => block.every((weight) => Number.isInteger(weight / step));
        assert.ok(largest === 0 || parts.some(fits), what);
      }
      const after = single(dense);
      await pruneSparseGpt(after, factor, { pattern, sparsity });
      for (let from = 0; from < after.data.length; from += 32) {
        const block = after.data.subarray(from, from + 32);
        const step = stepOf(block, bits);
        for (const [index, weight] of block.entries()) block[index] = step * Math.round(weight / step);
      }
      const [error, plain] = [await errorOf(dense, joint, gram), await errorOf(dense, after, gram)];
      // Beside what pruning loses of random weights, rounding is little.
      assert.ok(error < (sparsity === 0 ? 0.7 : 1.05) * plain, `${what}: ${error} against ${plain}`);
    }
  }
});

test("the step of a block: its largest multiple reaches the largest weight, in bits that bfloat16 and float16 hold", () => {
  assert.equal(stepOf(Float32Array.of(-7, 3, 0), 4), 1);
  assert.equal(stepOf(Float32Array.of(1, 7.1), 4), 1.0625);
  assert.equal(stepOf(Float32Array.of(127), 8), 1);
  assert.equal(stepOf(Float32Array.of(-128), 8), 2);
  assert.equal(stepOf(new Float32Array(4), 4), 2 ** -20);
});

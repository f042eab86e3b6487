import assert from "node:assert/strict";
import { test } from "node:test";
import { mersenne } from "pure-rand/generator/mersenne";
import { type Matrix, multiply } from "../onnx/matrix.ts";
import { type MethodName, type RefinementName, singleGram } from "./methods/method.ts";
import { maskRefinements, pruningMethods } from "./methods/methods.ts";
import { reconstruct } from "./methods/reconstruct.ts";
import { type CalibratedPlan, type PruneOptions, planPruning } from "./options.ts";
import { pruneLinear, rememberInputs } from "./prune-linear.ts";
import type { SpanPattern } from "./select.ts";
import type { InputStatistics } from "./statistics.ts";

function random(rows: number, columns: number, seed: number): Matrix {
  const generator = mersenne(seed);
  const uniform = () => (generator.next() >>> 0) / 2 ** 32 - 0.5;
  return { rows, columns, data: Float32Array.from({ length: rows * columns }, () => uniform() + uniform()) };
}

const [rows, columns] = [24, 96];

/** Statistics of 400 inputs that go together, some columns more than others, with a mean of their own. */
async function statistics(): Promise<InputStatistics> {
  const mixed = await multiply(random(400, columns, 1), random(columns, columns, 2));
  const x = { ...mixed, data: mixed.data.map((value, index) => value * (1 + ((index % columns) % 7)) + 0.3) };
  const gram = await multiply(x, x, { transposeA: true });
  const sums = new Float64Array(columns);
  for (const [index, value] of x.data.entries()) sums[index % columns]! += value;
  const squares = Float64Array.from({ length: columns }, (_, i) => gram.data[i * (columns + 1)]!);
  return { squares, sums, tokens: 400, gram: { ...gram, data: Float64Array.from(gram.data) } };
}

async function errorOf(dense: Matrix, pruned: Matrix, gram: Matrix<Float64Array>): Promise<number> {
  const data = Float64Array.from(dense.data, (value, index) => value - pruned.data[index]!);
  const seen = await multiply({ ...dense, data }, gram);
  return data.reduce((sum, value, index) => sum + value * seen.data[index]!, 0);
}

/** A plan by names: Wanda per row and nothing else, but for what is given. */
const plan = ({
  method = "wanda",
  pattern = "row",
  refine,
  reconstruct = false,
}: {
  readonly method?: MethodName;
  readonly pattern?: SpanPattern;
  readonly refine?: RefinementName;
  readonly reconstruct?: boolean;
}) => ({
  method: pruningMethods.find(({ name }) => name === method)!,
  refine: maskRefinements.find(({ name }) => name === refine),
  pattern,
  reconstruct,
});

const zerosPerSpan = ({ data }: Matrix, span: number) =>
  Array.from(
    { length: data.length / span },
    (_, i) => data.subarray(i * span, (i + 1) * span).filter((w) => w === 0).length,
  );

test("swaps lower the error of any start, keep counts and values, and find nothing more at the end", async () => {
  const dense = random(rows, columns, 3);
  const inputs = rememberInputs(await statistics());
  const gram = inputs.statistics.gram!;
  for (const method of ["magnitude", "wanda", "ria"] as const) {
    for (const pattern of ["row", { zeros: 2, of: 4 }, { zeros: 1, of: 8 }] as SpanPattern[]) {
      const sparsity = typeof pattern === "object" ? pattern.zeros / pattern.of : 0.5;
      const start = await pruneLinear(dense, inputs, plan({ method, pattern }), sparsity);
      const swapped = await pruneLinear(dense, inputs, plan({ method, pattern, refine: "swaps" }), sparsity);
      const span = typeof pattern === "object" ? pattern.of : columns;
      assert.deepEqual(zerosPerSpan(swapped, span), zerosPerSpan(start, span));
      assert.ok(swapped.data.every((value, index) => value === 0 || value === dense.data[index]));
      const [before, after] = [await errorOf(dense, start, gram), await errorOf(dense, swapped, gram)];
      assert.ok(after < 0.95 * before, `${method} ${JSON.stringify(pattern)}: ${after} of ${before}`);
    }
  }
});

test("weights that sparsegpt and admm fitted to their mask are fitted anew to a refined one", async () => {
  const dense = random(rows, columns, 3);
  const inputs = rememberInputs(await statistics());
  const asked = { pattern: "row", sparsity: 0.5, refine: "swaps" } as const;
  for (const method of ["sparsegpt", "admm"] as const) {
    const errorBy = async (options: Omit<PruneOptions, "method">) => {
      const pruned = await pruneLinear(dense, inputs, planPruning({ method, ...options }) as CalibratedPlan, 0.5);
      assert.ok(zerosPerSpan(pruned, columns).every((zeros) => zeros === columns / 2));
      return await errorOf(dense, pruned, inputs.statistics.gram!);
    };
    const refined = await errorBy(asked);
    assert.ok(refined < 0.7 * (await errorBy({ ...asked, reconstruct: false })), method);
    // ADMM has sought the mask together with the weights; there is nothing to refine.
    if (method === "sparsegpt") assert.ok(refined < 0.7 * (await errorBy({ pattern: "row", sparsity: 0.5 })));
  }
});

test("a swap is made where one is known to help", async () => {
  // Two columns that always carry opposite values: zeroing both costs nothing, zeroing the third column does.
  const gram = { rows: 4, columns: 4, data: Float64Array.of(4, -4, 0, 0, -4, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1) };
  const squares = Float64Array.of(4, 4, 1, 1);
  const inputs = rememberInputs({ squares, sums: new Float64Array(4), tokens: 1, gram });
  const dense = { rows: 1, columns: 4, data: Float32Array.of(1, 1, 1, 1.5) };
  const start = await pruneLinear(dense, inputs, plan({}), 0.5);
  assert.deepEqual(
    [...start.data],
    [1, 1, 0, 0].map((w, i) => (i < 2 ? w : 0)),
  );
  // From here every single swap loses: {0, 2} costs 4 + 1. A start with one twin gone is led to the other.
  const half = await pruneLinear(
    { ...dense, data: Float32Array.of(0.4, 0.4, 1, 1.5) },
    inputs,
    plan({ method: "magnitude" }),
    0.5,
  );
  assert.deepEqual([...half.data], [0, 0, 1, 1.5]);
  const dull = { ...dense, data: Float32Array.of(0.9, 1.1, 1, 1.5) };
  const byMagnitude = await pruneLinear(dull, inputs, plan({ method: "magnitude", refine: "swaps" }), 0.5);
  assert.deepEqual(
    [...byMagnitude.data].map((w) => w === 0),
    [true, true, false, false],
  );
});

test("dsnot brings each row's mean output nearer to the dense one, and keeps counts and values", async () => {
  const dense = random(rows, columns, 4);
  const inputs = rememberInputs(await statistics());
  const { sums } = inputs.statistics;
  const start = await pruneLinear(dense, inputs, plan({}), 0.5);
  const refined = await pruneLinear(dense, inputs, plan({ refine: "dsnot" }), 0.5);
  assert.deepEqual(zerosPerSpan(refined, columns), zerosPerSpan(start, columns));
  assert.ok(refined.data.every((value, index) => value === 0 || value === dense.data[index]));
  const shifts = ({ data }: Matrix) =>
    Array.from({ length: rows }, (_, row) =>
      Math.abs(
        sums.reduce((sum, own, i) => sum + own * (dense.data[row * columns + i]! - data[row * columns + i]!), 0),
      ),
    );
  const [before, after] = [shifts(start), shifts(refined)];
  assert.ok(after.every((shift, row) => shift <= before[row]! + 1e-3));
  const total = (values: number[]) => values.reduce((sum, value) => sum + value, 0);
  assert.ok(total(after) < 0.3 * total(before), `${total(after)} of ${total(before)}`);
});

test("reconstruction keeps the mask and ends where the gradient on the support is zero", async () => {
  const dense = random(rows, columns, 5);
  const inputs = rememberInputs(await statistics());
  const start = await pruneLinear(dense, inputs, plan({}), 0.5);
  const fitted = { ...start, data: start.data.slice() };
  const gram = inputs.once(singleGram);
  await reconstruct(dense, fitted, gram, await multiply(dense, gram));
  assert.deepEqual(
    [...fitted.data].map((w) => w === 0),
    [...start.data].map((w) => w === 0),
  );
  const exact = inputs.statistics.gram!;
  const [before, after] = [await errorOf(dense, start, exact), await errorOf(dense, fitted, exact)];
  assert.ok(after < 0.7 * before, `${after} of ${before}`);
  // A second call from there finds hardly anything left to gain.
  await reconstruct(dense, fitted, gram, await multiply(dense, gram));
  const again = await errorOf(dense, fitted, exact);
  assert.ok(Math.abs(again - after) < 0.01 * after, `${again} after ${after}`);
});

test("reconstruction reaches a known optimum", async () => {
  // Twins: the one that stays takes the other's weight over, but for the damping.
  const gram = { rows: 2, columns: 2, data: Float32Array.of(100, 100, 100, 100) };
  const pruned = { rows: 2, columns: 2, data: Float32Array.of(0, 2, 0, 0) };
  const dense = { rows: 2, columns: 2, data: Float32Array.of(1, 2, 3, 4) };
  await reconstruct(dense, pruned, gram, await multiply(dense, gram));
  assert.ok(Math.abs(pruned.data[1]! - 3) < 0.02);
  assert.deepEqual([pruned.data[0], pruned.data[2], pruned.data[3]], [0, 0, 0]);
});

test("admm: exact counts, and less error than sparsegpt's, which has less than wanda's", async () => {
  const dense = random(rows, columns, 6);
  const inputs = rememberInputs(await statistics());
  for (const pattern of ["row", "tensor", { zeros: 2, of: 4 }] as SpanPattern[]) {
    const errors = [];
    for (const method of ["wanda", "sparsegpt", "admm"] as const) {
      const pruned = await pruneLinear(dense, inputs, plan({ method, pattern, reconstruct: method === "admm" }), 0.5);
      assert.equal(pruned.data.filter((w) => w === 0).length, (rows * columns) / 2, `${method}`);
      errors.push(await errorOf(dense, pruned, inputs.statistics.gram!));
    }
    assert.ok(errors[2]! < errors[1]! && errors[1]! < errors[0]!, `${JSON.stringify(pattern)}: ${errors}`);
  }
});

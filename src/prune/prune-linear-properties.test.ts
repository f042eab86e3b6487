import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Matrix, multiply } from "../onnx/matrix.ts";
import { type CalibratedPlan, type PruneOptions, planPruning } from "./options.ts";
import { pruneLinear, rememberInputs } from "./prune-linear.ts";
import type { SpanPattern } from "./select.ts";
import type { InputStatistics } from "./statistics.ts";

interface Layer {
  readonly weights: Matrix;
  /** `[tokens, columns]`. */
  readonly inputs: Matrix;
}

// Eighths from -4 to 4: sums of them are exact in any order, many are zero, and many scores tie.
const eighth = fc.integer({ min: -32, max: 32 }).map((value) => value / 8);
const matrix = (rows: number, columns: number) =>
  fc
    .array(eighth, { minLength: rows * columns, maxLength: rows * columns, size: "max" })
    .map((all): Matrix => ({ rows, columns, data: Float32Array.from(all) }));
/** Fewer tokens than columns too: a singular Gram matrix. */
const layers: fc.Arbitrary<Layer> = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom(4, 8, 20, 132), fc.integer({ min: 1, max: 30 }))
  .chain(([rows, columns, tokens]) => fc.record({ weights: matrix(rows, columns), inputs: matrix(tokens, columns) }));
const sparsities = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

async function statisticsOf(x: Matrix): Promise<InputStatistics> {
  const single = await multiply(x, x, { transposeA: true });
  const gram = { ...single, data: Float64Array.from(single.data) };
  const squares = Float64Array.from({ length: x.columns }, (_, i) => gram.data[i * (x.columns + 1)]!);
  const sums = new Float64Array(x.columns);
  for (const [index, value] of x.data.entries()) sums[index % x.columns]! += value;
  return { squares, sums, tokens: x.rows, gram };
}

async function pruned(layer: Layer, options: PruneOptions): Promise<Matrix> {
  // A plan for magnitude alone lacks what the others have.
  const plan = { refine: undefined, reconstruct: false, ...planPruning(options) } as CalibratedPlan;
  return await pruneLinear(layer.weights, rememberInputs(await statisticsOf(layer.inputs)), plan, plan.sparsity);
}

const zerosIn = (data: Float32Array) => data.filter((value) => value === 0).length;
const elementwise = ["magnitude", "wanda", "ria"] as const;
const ways: Omit<PruneOptions, "sparsity">[] = [
  { method: "wanda" },
  { method: "ria" },
  { method: "magnitude", pattern: "row", refine: "swaps" },
  { method: "wanda", refine: "swaps", reconstruct: true },
  { method: "wanda", refine: "dsnot" },
  { method: "sparsegpt" },
  { method: "sparsegpt", pattern: "row" },
  { method: "admm" },
];

function spansOf({ columns, data }: Matrix, pattern: SpanPattern): Float32Array[] {
  const span = pattern === "tensor" ? data.length : pattern === "row" ? columns : pattern.of;
  return Array.from({ length: data.length / span }, (_, i) => data.subarray(i * span, (i + 1) * span));
}

test("counts are exact in each span, or what was zero before if that was more; weights that stay are finite", async () => {
  await fc.assert(
    fc.asyncProperty(layers, sparsities, async (layer, sparsity) => {
      const inGroups = ways
        .filter(({ refine }) => refine !== "dsnot")
        .map((way) => ({ ...way, pattern: "2:4" as const }));
      for (const way of [...ways.map((way) => ({ ...way, sparsity })), ...inGroups]) {
        const what = `${JSON.stringify(way)} ${layer.weights.rows}x${layer.weights.columns}`;
        const { pattern } = planPruning(way) as CalibratedPlan;
        const result = await pruned(layer, way);
        assert.ok(result.data.every(Number.isFinite), what);
        const before = spansOf(layer.weights, pattern).map(zerosIn);
        const counts = spansOf(result, pattern).map(zerosIn);
        for (const [index, { length }] of spansOf(result, pattern).entries()) {
          const count = typeof pattern === "object" ? 2 : Math.round(length * sparsity);
          const [seen, most] = [counts[index]!, Math.max(count, before[index]!)];
          // A weight that was zero may get a value where weights make up for each other.
          if (way.method === "sparsegpt" || way.method === "admm")
            assert.ok(seen >= count, `${what}: ${seen} of ${count}`);
          else assert.equal(seen, most, what);
        }
      }
    }),
    { numRuns: 25 },
  );
});

test("where no weight was zero, no more than asked for goes, whatever the method", async () => {
  await fc.assert(
    fc.asyncProperty(layers, sparsities, async ({ weights, inputs }, sparsity) => {
      const layer = { weights: { ...weights, data: weights.data.map((value) => value || 0.25) }, inputs };
      for (const way of ways) {
        const result = await pruned(layer, { ...way, sparsity });
        const { pattern } = planPruning({ ...way, sparsity }) as CalibratedPlan;
        for (const span of spansOf(result, pattern)) {
          assert.equal(zerosIn(span), Math.round(span.length * sparsity), JSON.stringify(way));
        }
      }
    }),
    { numRuns: 25 },
  );
});

test("pruning again changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(layers, sparsities, async ({ weights, inputs }, sparsity) => {
      for (const way of ways.filter(({ method, reconstruct }) => method !== "admm" && !reconstruct)) {
        const options = { ...way, sparsity };
        const once = await pruned({ weights, inputs }, options);
        const twice = await pruned({ weights: once, inputs }, options);
        assert.deepEqual(twice.data, once.data, JSON.stringify(way));
      }
    }),
    { numRuns: 25 },
  );
});

test("a higher sparsity zeroes a superset, by methods that score each weight", async () => {
  await fc.assert(
    fc.asyncProperty(layers, sparsities, sparsities, async (layer, a, b) => {
      for (const method of elementwise) {
        for (const pattern of ["tensor", "row"] as const) {
          const at = async (sparsity: number) => (await pruned(layer, { method, pattern, sparsity })).data;
          const [low, high] = [await at(Math.min(a, b)), await at(Math.max(a, b))];
          assert.ok(
            low.every((value, index) => value !== 0 || high[index] === 0),
            `${method} ${pattern}`,
          );
        }
      }
    }),
  );
});

test("rows are pruned each for itself per row and n:m: permuting them permutes the result", async () => {
  await fc.assert(
    fc.asyncProperty(layers, sparsities, async ({ weights, inputs }, sparsity) => {
      const { rows, columns } = weights;
      const reversed = ({ data }: Matrix): Matrix => ({
        rows,
        columns,
        data: Float32Array.from(data, (_, i) => data[(rows - 1 - Math.floor(i / columns)) * columns + (i % columns)]!),
      });
      for (const method of elementwise) {
        for (const selection of [{ pattern: "row", sparsity }, { pattern: "2:4" }] as const) {
          const options = { method, ...selection };
          const there = reversed(await pruned({ weights, inputs }, options));
          const back = await pruned({ weights: reversed(weights), inputs }, options);
          assert.deepEqual(back.data, there.data, JSON.stringify(options));
        }
      }
    }),
  );
});

test("sparsity 0 leaves a layer as it is", async () => {
  await fc.assert(
    fc.asyncProperty(layers, async (layer) => {
      for (const way of ways) {
        assert.deepEqual((await pruned(layer, { ...way, sparsity: 0 })).data, layer.weights.data, JSON.stringify(way));
      }
    }),
    { numRuns: 25 },
  );
});

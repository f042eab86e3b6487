import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { bf16ToFloat32, float32ToBf16 } from "../checkpoint/half.ts";
import { GraphBuilder, placeWeights } from "../onnx/graph.ts";
import { float32, int64, openSession } from "../onnx/session.ts";
import { stepOf } from "../prune/methods/sparsegpt.ts";
import { type Bits, blockSize, coarseStep, codeOf, findStep, liesOnGrid } from "./block-steps.ts";
import { blockScaled, type MatrixForm, plain, rowScaled, unpacked } from "./matrix-forms.ts";

const size = { rows: 48, columns: 64 };

/** Half of them zeros. */
function randomMatrix(seed: number): Float32Array {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float32Array.from({ length: size.rows * size.columns }, () => (next() < 0.5 ? 0 : next() - 0.5));
}

/** What a form's operators see of a matrix: by its product with the identity, and row by row. */
async function seen(form: MatrixForm, values: Float32Array): Promise<{ product: Float32Array; rows: Float32Array }> {
  const stored = form.stored(size);
  const layout = placeWeights(stored.map(({ part, ...rest }) => ({ name: `w${part}`, ...rest })));
  const folder = mkdtempSync(join(tmpdir(), "prunelab-matrix-"));
  const file = Buffer.alloc(1 << 16);
  for (const [index, data] of form.encode(values, size).entries()) {
    const { offset } = layout.get(`w${stored[index]!.part}`)!;
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
  }
  writeFileSync(join(folder, "data"), file);
  const graph = new GraphBuilder(layout, "data");
  const parts = stored.map(({ part }) => graph.weight(`w${part}`));
  const product = form.linear(graph, graph.input("x", "float32", ["n", size.columns]), parts, size);
  graph.output("product", product, "float32", ["n", size.rows]);
  const rows = form.rows(graph, graph.input("ids", "int64", ["m"]), parts, size);
  graph.output("rows", rows, "float32", ["m", size.columns]);
  const session = await openSession(graph.encode("matrix"), { folder });
  const identity = Float32Array.from({ length: size.columns ** 2 }, (_, i) => Number(i % (size.columns + 1) === 0));
  const outputs = await session.run({
    x: float32(identity, [size.columns, size.columns]),
    ids: int64([...Array(size.rows).keys()], [size.rows]),
  });
  await session.release();
  rmSync(folder, { recursive: true });
  const turned = outputs.product!.data as Float32Array;
  return {
    product: Float32Array.from(
      values,
      (_, i) => turned[(i % size.columns) * size.rows + Math.floor(i / size.columns)]!,
    ),
    rows: outputs.rows!.data as Float32Array,
  };
}

const forms: Readonly<Record<string, readonly [MatrixForm, number]>> = {
  float32: [plain("float32"), 0],
  float16: [plain("float16"), 2 ** -12],
  rows: [rowScaled, 0.5 / 254],
  "blocks of 4 bits": [blockScaled(4, "float32"), 0.5 / 7],
  "blocks of 4 bits, float16": [blockScaled(4, "float16"), 0.5 / 7],
  "blocks of 8 bits": [blockScaled(8, "float32"), 0.5 / 127],
  unpacked: [unpacked, 0.5 / 127],
};

for (const [name, [form, bound]] of Object.entries(forms)) {
  test(`${name}: zeros stay zeros, and the others nearly what they are`, async () => {
    const values = randomMatrix(7);
    const { product, rows } = await seen(form, values);
    for (const [i, value] of values.entries()) {
      // MatMulNBits takes its zero point off in a sum of its own, which rounds.
      if (value === 0) assert.ok(Math.abs(product[i]!) < 1e-6 && Math.abs(rows[i]!) === 0, `${i}`);
      assert.ok(Math.abs(rows[i]! - value) <= bound + 1e-6, `row ${i}: ${rows[i]} for ${value}`);
      assert.ok(Math.abs(product[i]! - value) <= bound + 1e-3 * Math.abs(value), `product ${i}: ${product[i]}`);
    }
  });
}

/** What SparseGPT's joint mode leaves. */
function onGrid(values: Float32Array, bits: Bits): Float32Array {
  const most = 2 ** (bits - 1) - 1;
  for (let from = 0; from < values.length; from += blockSize) {
    const own = values.subarray(from, from + blockSize);
    const step = stepOf(own, bits);
    for (let i = 0; i < own.length; i++) own[i] = step * Math.max(-most, Math.min(most, Math.round(own[i]! / step)));
  }
  return bf16ToFloat32(float32ToBf16(values)).map((value) => value + 0);
}

for (const [bits, own] of [
  [4, [blockScaled(4, "float32"), blockScaled(4, "float16"), unpacked]],
  [8, [blockScaled(8, "float32"), unpacked]],
] as const) {
  test(`weights that SparseGPT rounded to ${bits} bits leave without a second loss`, async () => {
    const values = onGrid(randomMatrix(3), bits);
    assert.ok(liesOnGrid(values, size.columns, bits));
    for (const form of own) assert.deepEqual((await seen(form, values)).rows, values);
  });
}

test("a step is found again wherever there is one, and nowhere else", () => {
  const blocks = fc.array(fc.integer({ min: -7, max: 7 }), { minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(blocks, fc.integer({ min: 16, max: 31 }), fc.integer({ min: -16, max: 4 }), (codes, bits, power) => {
      const step = bits * 2 ** (power - 4);
      const values = Float32Array.from(codes, (code) => code * step);
      const found = findStep(values, 4)!;
      assert.ok(values.every((value) => Number.isInteger(value / found) && Math.abs(value / found) <= 7));
    }),
  );
  assert.equal(findStep(Float32Array.of(1, 0.3), 4), undefined);
  assert.equal(liesOnGrid(randomMatrix(1), size.columns, 8), false);
  assert.equal(liesOnGrid(new Float32Array(48), 48, 8), false);
  assert.equal(coarseStep(new Float32Array(32), 4), 1);
  assert.equal(codeOf(-0.7, coarseStep(Float32Array.of(0.1, -0.7), 4), 4), 0);
  assert.deepEqual(
    [0, 0.7, -0.7].map((value) => codeOf(value, 0.1, 4)),
    [8, 15, 1],
  );
});

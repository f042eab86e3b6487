import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tinyModel } from "../base/testing.test-helper.ts";
import { bf16ToFloat32, float32ToBf16 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { elementCount } from "../checkpoint/tensor.ts";
import { bytesOfWeight } from "../onnx/graph.ts";
import { int8Layout, roundWeight, turnSize } from "./int8-weights.ts";

/** A row mixed as the docstring of turnSize says, by the definition of a Hadamard matrix. */
function mixed(row: Float32Array): number[] {
  const size = turnSize(row.length);
  const bitsOf = (n: number) => [...n.toString(2)].filter((bit) => bit === "1").length;
  return Array.from(row, (_, index) => {
    const block = index - (index % size);
    let sum = 0;
    for (let i = 0; i < size; i++) sum += row[block + i]! * (-1) ** bitsOf(i & (index % size));
    return sum / Math.sqrt(size);
  });
}

test("integers times scales are the mixed weights, to half a step, and a row's largest is 127", () => {
  const matrix = fc
    .tuple(fc.integer({ min: 1, max: 130 }), fc.constantFrom(1, 3, 4, 48, 64))
    .chain(([rows, columns]) => {
      const length = rows * columns;
      const values = fc.array(fc.oneof(fc.constant(0), fc.double({ min: -4, max: 4, noNaN: true })), {
        minLength: length,
        maxLength: length,
        size: "max",
      });
      return fc.record({ rows: fc.constant(rows), columns: fc.constant(columns), values });
    });
  fc.assert(
    fc.property(matrix, ({ rows, columns, values }) => {
      const weights = float32ToBf16(Float32Array.from(values));
      const { integers, scales } = roundWeight(weights, rows, columns);
      for (let row = 0; row < rows; row++) {
        const exact = mixed(bf16ToFloat32(weights.subarray(row * columns, (row + 1) * columns)));
        const own = exact.map((_, column) => integers[column * rows + row]!);
        const scale = scales[row]!;
        for (const [column, value] of exact.entries()) {
          assert.ok(Math.abs(own[column]! * scale - value) <= 0.5001 * scale, `row ${row}, column ${column}`);
        }
        if (exact.some((value) => value !== 0)) assert.equal(Math.max(...own.map(Math.abs)), 127);
      }
    }),
    { numRuns: 40 },
  );
});

test("every linear layer and the whole embedding have a place, none over another", async () => {
  const { config, tensors } = await openCheckpointFile(tinyModel);
  const layout = int8Layout(config);
  const count = (type: string) =>
    [...layout.values()].filter((own) => own.type === type).reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length === 2);
  assert.equal(
    count("int8"),
    matrices.reduce((sum, { shape }) => sum + elementCount(shape), 0),
  );
  assert.equal(
    count("float32"),
    matrices.reduce((sum, { shape }) => sum + shape[0]!, 0),
  );
  const places = [...layout.values()].sort((a, b) => a.offset - b.offset);
  for (const [index, weight] of places.entries()) {
    const end = weight.offset + bytesOfWeight(weight);
    assert.ok(end <= (places[index + 1]?.offset ?? Infinity));
  }
});

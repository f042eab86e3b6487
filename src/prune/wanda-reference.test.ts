import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { modelFile, shared, skipWithoutModel, skipWithoutShared } from "../base/testing.test-helper.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { embedWindows, readBlock } from "../model/run-block.ts";
import { prune } from "./prune.ts";
import { openInputMeter } from "./statistics.ts";

interface Reference {
  readonly tensors: Record<string, { zeros: number; sumKept: number }>;
  readonly columnNorms: Record<string, { first4: number[]; mean: number; max: number; argmax: number }>;
}

// The first two blocks, so that the second is measured with the first one pruned; all eighteen take minutes.
test("wanda's norms, counts and kept weights are the reference's", {
  skip: skipWithoutShared || skipWithoutModel,
}, async () => {
  const read = (name: string) => JSON.parse(readFileSync(join(shared!, "reference", name), "utf8"));
  const reference: Reference = read("wanda50.json");
  const tokenIds: number[][] = read("calibration.json").windows;
  const dense = await openCheckpointFile(modelFile!);
  const near = (seen: number, expected: number, what: string) => {
    assert.ok(Math.abs(seen / expected - 1) < 1e-3, `${what}: ${seen}, not ${expected}`);
  };

  const scope = /layers\.[01]\.(self_attn\.[qkvo]|mlp\.(gate|up|down))_proj/;
  const pruned = await prune(dense, { method: "wanda", sparsity: 0.5, scope, calibration: { tokenIds } });
  assert.equal(pruned.report.tensors.length, 14);
  for (const { name, zeros } of pruned.report.tensors) {
    assert.equal(zeros, reference.tensors[name]!.zeros, name);
    const kept = bf16ToFloat32((await pruned.read(name)).data);
    near(
      kept.reduce((sum, weight) => sum + Math.abs(weight), 0),
      reference.tensors[name]!.sumKept,
      name,
    );
  }

  const meter = openInputMeter(dense, "squares", { skipFirst: false });
  const inputs = await meter.measure(0, await readBlock(dense, 0), await embedWindows(dense, tokenIds));
  for (const [name, { squares }] of inputs) {
    const { first4, mean, max, argmax } = reference.columnNorms[`model.layers.0.${name}`]!;
    const norms = squares.map(Math.sqrt);
    for (const [column, norm] of first4.entries()) near(norms[column]!, norm, `${name} column ${column}`);
    near(norms.reduce((sum, norm) => sum + norm, 0) / norms.length, mean, `${name} mean`);
    near(norms[argmax]!, max, `${name} largest`);
  }
  await meter.release();
});

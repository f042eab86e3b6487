import assert from "node:assert/strict";
import { readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { weightBytes, weightLayout, weightsFile } from "./decoder.ts";
import { weightsFolder } from "./weights.ts";

test("the weights file holds every tensor in float32 at its place, norms as 1 + w, and nothing behind", async () => {
  const checkpoint = await openCheckpointFile(tinyModel);
  const path = join(await weightsFolder(checkpoint), weightsFile);
  const bytes = readFileSync(path);
  const layout = weightLayout(checkpoint.config);
  assert.equal(bytes.length, weightBytes(layout));
  for (const [name, { offset, shape }] of layout) {
    const count = shape.reduce((product, size) => product * size, 1);
    const stored = new Float32Array(
      bytes.buffer.slice(bytes.byteOffset + offset, bytes.byteOffset + offset + count * 4),
    );
    const expected = bf16ToFloat32((await checkpoint.read(name)).data).map((value) =>
      name.endsWith("norm.weight") ? value + 1 : value,
    );
    assert.deepEqual(stored, expected, name);
  }
});

test("a file that is there is used again, and one that was cut off is not", async () => {
  const checkpoint = await openCheckpointFile(tinyModel);
  const path = join(await weightsFolder(checkpoint), weightsFile);
  const past = new Date(1_000_000_000_000);
  utimesSync(path, past, past);
  await weightsFolder(checkpoint);
  assert.equal(statSync(path).mtimeMs, past.getTime());
  const whole = readFileSync(path);
  writeFileSync(path, whole.subarray(0, 1000));
  await weightsFolder(checkpoint);
  assert.deepEqual(readFileSync(path), whole);
});

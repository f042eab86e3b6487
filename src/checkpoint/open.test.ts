import assert from "node:assert/strict";
import { test } from "node:test";
import { tinyModel } from "../testing.test-helper.ts";
import { openCheckpointFile } from "./open.ts";

test("the folder, the safetensors file and the GGUF hold the same model", async () => {
  const folder = await openCheckpointFile(tinyModel);
  assert.equal(folder.name, "tiny-gemma3");
  assert.equal(folder.tensors.size, 2 + 7 * 13);
  assert.equal(folder.config.layer_types.indexOf("full_attention"), 5);
  for (const file of ["model.safetensors", "model.gguf"]) {
    const other = await openCheckpointFile(`${tinyModel}/${file}`);
    assert.equal(other.name, "model");
    assert.deepEqual(other.config, folder.config);
    assert.deepEqual([...other.tensors], [...folder.tensors]);
    for (const name of folder.tensors.keys()) assert.deepEqual(await other.read(name), await folder.read(name));
    assert.deepEqual(await other.tokenizer(), await folder.tokenizer());
  }
});

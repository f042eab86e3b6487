import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { PrunelabError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { openCheckpointFile } from "./open.ts";
import { writeCheckpoint } from "./write.ts";

const scratch = await mkdtemp(join(tmpdir(), "prunelab-write-"));
test.after(() => rm(scratch, { recursive: true }));

const tiny = await openCheckpointFile(join(tinyModel, "model.gguf"));

test("opening what was written gives the same checkpoint", async () => {
  const folder = join(scratch, "new", "folder");
  const seen: Progress[] = [];
  await writeCheckpoint(tiny, folder, { onProgress: (progress) => seen.push(progress) });
  assert.deepEqual((await readdir(folder)).sort(), [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  const again = await openCheckpointFile(folder);
  assert.deepEqual(again.config, tiny.config);
  assert.deepEqual([...again.tensors], [...tiny.tensors]);
  for (const name of tiny.tensors.keys()) assert.deepEqual(await again.read(name), await tiny.read(name));
  assert.deepEqual(await again.tokenizer(), await tiny.tokenizer());
  assert.deepEqual(await again.generationConfig(), await tiny.generationConfig());
  assert.equal(seen.length, tiny.tensors.size);
  assert.equal(seen.at(-1)!.done, seen.at(-1)!.total);
});

test("the config has what transformers needs", async () => {
  const folder = join(scratch, "config");
  await writeCheckpoint(tiny, folder);
  const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  assert.deepEqual(config.architectures, ["Gemma3ForCausalLM"]);
  assert.equal(config.model_type, "gemma3_text");
  assert.equal(config.torch_dtype, "bfloat16");
  assert.equal(config.layer_types.length, config.num_hidden_layers);
  assert.equal(config.rope_scaling, null);
});

test("a full disk leaves the folder as it was, or empty", async () => {
  const folder = join(scratch, "full");
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
  let reads = 0;
  const failing = {
    ...tiny,
    read: (name: string) => (++reads > 5 ? Promise.reject(full) : tiny.read(name)),
  };
  const assertFull = () =>
    assert.rejects(
      writeCheckpoint(failing, folder),
      (error: unknown) =>
        error instanceof PrunelabError &&
        /^cannot write .*model\.safetensors: the disk is full; free/.test(error.message),
    );
  await assertFull();
  assert.deepEqual(await readdir(folder), []);
  await writeCheckpoint(tiny, folder);
  reads = 0;
  await assertFull();
  assert.equal((await readdir(folder)).length, 5);
  const again = await openCheckpointFile(folder);
  assert.deepEqual(await again.read("model.norm.weight"), await tiny.read("model.norm.weight"));
});

test("a folder that is a file is told plainly", async () => {
  await assert.rejects(writeCheckpoint(tiny, join(tinyModel, "config.json")), (error: unknown) => {
    return error instanceof PrunelabError && /^cannot write .*: .*choose another path$/.test(error.message);
  });
});

test("a graph of other weights does not stay beside new ones", async () => {
  const folder = join(scratch, "graph");
  await mkdir(join(folder, "onnx"), { recursive: true });
  for (const name of ["model.onnx", "model.onnx_data", "other.txt"]) await writeFile(join(folder, "onnx", name), "old");
  await writeCheckpoint(tiny, folder);
  assert.deepEqual(await readdir(join(folder, "onnx")), ["other.txt"]);
});

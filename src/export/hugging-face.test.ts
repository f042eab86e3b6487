import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { fileSource } from "../checkpoint/byte-source.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { expectedModels, randomModel } from "../checkpoint/random-model.test-helper.ts";
import { readSafetensorsHeader } from "../checkpoint/safetensors.ts";
import { prune } from "../prune/prune.ts";
import { readMask } from "../train/mask.ts";
import { exportModel } from "./export-model.ts";

const scratch = await mkdtemp(join(tmpdir(), "prunelab-hf-"));
test.after(() => rm(scratch, { recursive: true }));
let folders = 0;
const newFolder = () => join(scratch, `${++folders}`);
const pruned = await prune(await openCheckpointFile(tinyModel), { method: "magnitude", sparsity: 0.5 });

async function assertSame(seen: Checkpoint, expected: Checkpoint): Promise<void> {
  assert.deepEqual(seen.config, expected.config);
  for (const name of expected.tensors.keys()) {
    const own = (await expected.read(name)).data.map((bits) => (bits === 0x8000 ? 0 : bits));
    assert.deepEqual((await seen.read(name)).data, own, name);
  }
}

for (const name of Object.keys(expectedModels)) {
  test(`${name}: bfloat16 in several files and sparse open as the same model`, async () => {
    const model = await randomModel(name);
    const zeroed = await prune(model, { method: "magnitude", sparsity: 0.5 });
    const [shards, packed] = [newFolder(), newFolder()];
    await exportModel(model, shards, { to: "safetensors:bf16", shardBytes: 20_000 });
    assert.ok((await readdir(shards)).filter((file) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(file)).length > 1);
    await assertSame(await openCheckpointFile(shards), model);
    await exportModel(zeroed, packed, { to: "sparse" });
    await assertSame(await openCheckpointFile(packed), zeroed);
  });
}

test("float16, a chat template of its own, tokenizer.model, mask; what was there is not written over", async () => {
  const chatty: Checkpoint = {
    ...pruned,
    tokenizer: async () => {
      const { tokenizer, tokenizerConfig } = await pruned.tokenizer();
      return { tokenizer, tokenizerConfig: { ...tokenizerConfig, chat_template: "{{ messages }}" } };
    },
  };
  const folder = newFolder();
  const { files, summary } = await exportModel(chatty, folder, { to: "safetensors:f16", mask: true });
  assert.match(summary, /safetensors:f16: 0\.\d MB of weights in .*; mask\.safetensors beside them/);
  assert.deepEqual(
    files.map(({ name }) => name),
    ["model.safetensors", "mask.safetensors"],
  );
  assert.deepEqual((await readdir(folder)).sort(), [
    ...["chat_template.jinja", "config.json", "generation_config.json", "mask.safetensors", "model.safetensors"],
    ...["tokenizer.json", "tokenizer.model", "tokenizer_config.json"],
  ]);
  assert.equal(JSON.parse(await readFile(join(folder, "config.json"), "utf8")).torch_dtype, "float16");
  const header = await readSafetensorsHeader(await fileSource(join(folder, "model.safetensors")));
  assert.deepEqual(new Set([...header.values()].map(({ dtype }) => dtype)), new Set(["F16"]));
  const mask = await readMask(join(folder, "mask.safetensors"));
  const name = "model.layers.0.mlp.up_proj.weight";
  assert.deepEqual(
    mask.get(name)!.data,
    Uint8Array.from((await pruned.read(name)).data, (bits) => Number((bits & 0x7fff) !== 0)),
  );

  // Several files would leave the one that is there to be read in their stead.
  const inParts = { to: "safetensors:bf16", shardBytes: 50_000 };
  await assert.rejects(exportModel(pruned, folder, inParts), /there already: .*model\.safetensors; .*--force/);
  await exportModel(pruned, folder, { ...inParts, force: true });
  assert.ok(!(await readdir(folder)).includes("model.safetensors"));
  await assertSame(await openCheckpointFile(folder), pruned);
  await assert.rejects(exportModel(pruned, folder, { to: "sparse" }), /there already/);
  await exportModel(pruned, folder, { to: "safetensors:bf16", force: true });
  assert.ok(!(await readdir(folder)).some((file) => file.includes("-of-") || file.endsWith("index.json")));
});

test("-0 is written as 0", async () => {
  const name = "model.layers.0.mlp.up_proj.weight";
  const negative: Checkpoint = {
    ...pruned,
    read: async (wanted) => {
      const tensor = await pruned.read(wanted);
      return { ...tensor, data: tensor.data.map((bits) => (wanted === name && bits === 0 ? 0x8000 : bits)) };
    },
  };
  for (const to of ["safetensors:bf16", "safetensors:f16", "sparse"]) {
    const folder = newFolder();
    await exportModel(negative, folder, { to });
    const { data } = await (await openCheckpointFile(folder)).read(name);
    assert.ok(data.includes(0));
    assert.ok(!data.includes(0x8000), to);
  }
});

test("another model's folder is left alone, and a file in the folder's place", async () => {
  const folder = newFolder();
  await exportModel(await randomModel("qwen3"), folder, { to: "safetensors:bf16" });
  await assert.rejects(
    exportModel(pruned, folder, { to: "onnx:fp32" }),
    /another model is there already: .*config\.json/,
  );
  await assert.rejects(exportModel(pruned, join(folder, "config.json"), { to: "sparse" }), /config\.json/);
  await assert.rejects(exportModel(pruned, newFolder(), { to: "sparse:2" }), /unknown form: sparse:2; choose one of/);
  await assert.rejects(
    exportModel(pruned, newFolder(), { to: "safetensors:bf16", shardBytes: 0 }),
    /invalid shardBytes/,
  );
});

test("a sparse file that is damaged is told when it is opened or read", async () => {
  const folder = newFolder();
  await exportModel(pruned, folder, { to: "sparse" });
  const path = join(folder, "model.safetensors");
  const whole = await readFile(path);
  const part = (await readSafetensorsHeader(await fileSource(path))).get("model.layers.0.mlp.up_proj.bitmask")!;
  const damaged = Buffer.from(whole);
  damaged[part.start] = damaged[part.start]! ^ 1;
  await writeFile(path, damaged);
  const again = await openCheckpointFile(folder);
  await assert.rejects(again.read("model.layers.0.mlp.up_proj.weight"), /has \d+ values for \d+ bits of its mask/);

  const renamed = whole.toString("latin1").replace("up_proj.compressed", "up_proj.compresseX");
  await writeFile(path, Buffer.from(renamed, "latin1"));
  await assert.rejects(openCheckpointFile(folder), /lacks model\.layers\.0\.mlp\.up_proj\.compressed/);

  // Another library's quantization is refused as before, with or without left-out zeros.
  await cp(join(tinyModel, "model.safetensors"), path);
  const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  config.quantization_config.format = "pack-quantized";
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await assert.rejects(openCheckpointFile(folder), /unsupported quantization/);
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { modelFile, shared, skipWithoutModel, skipWithoutShared, tinyModel } from "../base/testing.test-helper.ts";
import { PrunelabError } from "../errors.ts";
import { bufferSource, fileSource } from "./byte-source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { encodeGguf } from "./gguf.test-helper.ts";
import { readGguf } from "./gguf.ts";
import { type Keep, openCheckpointFile } from "./open.ts";
import { readSafetensorsHeader, writeSafetensors } from "./safetensors.ts";
import type { Tensor } from "./tensor.ts";

const scratch = await mkdtemp(join(tmpdir(), "prunelab-open-"));
test.after(() => rm(scratch, { recursive: true }));

const tiny = await openCheckpointFile(tinyModel);
const tinyTensors: Tensor[] = await Promise.all([...tiny.tensors.keys()].map((name) => tiny.read(name)));
const tinyConfig = JSON.parse(await readFile(join(tinyModel, "config.json"), "utf8"));

let folders = 0;
/** A folder with the tiny model's tensors and config, changed. */
async function variant(change: {
  config?: Record<string, unknown>;
  tensors?: (tensor: Tensor) => Tensor | undefined;
}): Promise<string> {
  const folder = join(scratch, `variant-${++folders}`);
  const tensors = tinyTensors.flatMap((tensor) => (change.tensors ? (change.tensors(tensor) ?? []) : tensor));
  await writeSafetensors(
    join(folder, "model.safetensors"),
    tensors,
    async (name) => tensors.find((t) => t.name === name)!,
  );
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...tinyConfig, ...change.config }));
  return folder;
}

async function assertSame(a: Checkpoint, b: Checkpoint): Promise<void> {
  assert.deepEqual(a.config, b.config);
  assert.deepEqual([...a.tensors], [...b.tensors]);
  for (const name of b.tensors.keys()) assert.deepEqual(await a.read(name), await b.read(name));
}

async function assertRefused(opening: Promise<unknown>, pattern: RegExp): Promise<void> {
  await assert.rejects(opening, (error: unknown) => {
    assert.ok(error instanceof PrunelabError, String(error));
    assert.match(error.message, pattern);
    return true;
  });
}

test("the folder, the safetensors file and the GGUF hold the same model", async () => {
  assert.equal(tiny.name, "tiny-gemma3");
  assert.equal(tiny.tensors.size, 2 + 7 * 13);
  assert.equal(tiny.config.layer_types.indexOf("full_attention"), 5);
  for (const file of ["model.safetensors", "model.gguf"]) {
    const other = await openCheckpointFile(join(tinyModel, file));
    assert.equal(other.name, "model");
    await assertSame(other, tiny);
    assert.deepEqual(await other.tokenizer(), await tiny.tokenizer());
  }
  assert.equal((await openCheckpointFile(tinyModel, { name: "google/x" })).name, "google/x");
});

test("shards, a multimodal model's prefixes, and what is not part of the text model", async () => {
  const config = { model_type: "gemma3", text_config: tinyConfig, vision_config: {} };
  for (const prefix of ["language_model.model.", "model.language_model."]) {
    const folder = await variant({ config, tensors: (t) => ({ ...t, name: t.name.replace("model.", prefix) }) });
    await assertSame(await openCheckpointFile(folder), tiny);
  }
  const folder = join(scratch, "shards");
  const weightMap: Record<string, string> = {};
  const extra = (name: string) => ({ name, shape: [1], data: Uint16Array.of(0x7fc0) });
  const tensors = [
    ...tinyTensors,
    { ...tinyTensors.find(({ name }) => name.includes("embed"))!, name: "lm_head.weight" },
    extra("vision_tower.weight"),
    extra("multi_modal_projector.w"),
  ];
  for (const [i, file] of ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"].entries()) {
    const part = tensors.filter((_, at) => at % 2 === i);
    await writeSafetensors(join(folder, file), part, async (name) => part.find((t) => t.name === name)!);
    for (const { name } of part) weightMap[name] = file;
  }
  const index = join(folder, "model.safetensors.index.json");
  await writeFile(index, JSON.stringify({ weight_map: weightMap }));
  await cp(join(tinyModel, "config.json"), join(folder, "config.json"));
  await assertSame(await openCheckpointFile(folder), tiny);
  await assertSame(await openCheckpointFile(index), tiny);
});

test("a missing tensor, a wrong shape, a tensor too many are told on opening", async () => {
  const without = variant({ tensors: (t) => (t.name === "model.norm.weight" ? undefined : t) });
  await assertRefused(openCheckpointFile(await without), /^missing tensor: model\.norm\.weight: .*variant/);
  const transposed = (t: Tensor) =>
    t.name === "model.layers.3.mlp.up_proj.weight" ? { ...t, shape: t.shape.toReversed() } : t;
  await assertRefused(
    openCheckpointFile(await variant({ tensors: transposed })),
    /^wrong shape of model\.layers\.3\.mlp\.up_proj\.weight: .*: 32 × 64, where the config says 64 × 32; /,
  );
  await assertRefused(
    openCheckpointFile(await variant({ config: { hidden_size: 64 } })),
    /^wrong shape of model\.embed/,
  );
  await assertRefused(
    openCheckpointFile(await variant({ config: { num_hidden_layers: 6, layer_types: undefined } })),
    /^unexpected tensor: model\.layers\.6\..*; the weights and the config belong to different models/,
  );
  await assertRefused(
    openCheckpointFile(await variant({ config: { num_hidden_layers: 8, layer_types: undefined } })),
    /^missing tensor: model\.layers\.7\./,
  );
});

test("another architecture, a missing config, a wrong dtype, a damaged file", async () => {
  await assertRefused(
    openCheckpointFile(await variant({ config: { model_type: "gpt2" } })),
    /unsupported architecture/,
  );
  const folder = await variant({});
  await rm(join(folder, "config.json"));
  await assertRefused(openCheckpointFile(folder), /config\.json: there is no such file/);
  const gguf = join(scratch, "gpt2.gguf");
  await writeFile(gguf, encodeGguf({ "general.architecture": "gpt2" }, []));
  await assertRefused(openCheckpointFile(gguf), /unsupported architecture: .*gpt2\.gguf: "gpt2"/);
  const { metadata } = await readGguf(await fileSource(join(tinyModel, "model.gguf")));
  const { version: _, tensor_count: __, kv_count: ___, ...pairs } = metadata;
  await writeFile(gguf, encodeGguf(pairs, []));
  await assertRefused(openCheckpointFile(gguf), /missing tensor: model\.embed_tokens\.weight/);
  await writeFile(gguf, (await readFile(join(tinyModel, "model.gguf"))).subarray(0, 100_000));
  await assertRefused(openCheckpointFile(gguf), /gguf file is cut off: .*: needs [\d,]+ bytes, has 100,000 bytes/);
  const weights = await readFile(join(tinyModel, "model.safetensors"));
  const cut = await variant({});
  await writeFile(join(cut, "model.safetensors"), weights.subarray(0, 100_000));
  await assertRefused(openCheckpointFile(cut), /safetensors file is cut off: .*has 100,000 bytes/);
  weights.write('"I16",', weights.indexOf('"BF16"'));
  await writeFile(join(cut, "model.safetensors"), weights.toString("latin1").replace('"I16",,', '"I16", '), "latin1");
  await assertRefused(
    openCheckpointFile(cut),
    /unsupported dtype of model\.embed_tokens\.weight: .*: I16; use weights in F32/,
  );
});

test("what is not a checkpoint at all", async () => {
  const text = join(scratch, "notes.txt");
  await writeFile(text, "these are only words");
  await assertRefused(
    openCheckpointFile(text),
    /not a checkpoint: .*notes\.txt: it is neither safetensors nor gguf; give/,
  );
  await mkdir(join(scratch, "empty"));
  await assertRefused(
    openCheckpointFile(join(scratch, "empty")),
    /not a checkpoint: .*empty: it holds no model\.safetens/,
  );
  await assertRefused(openCheckpointFile(join(scratch, "none")), /none: there is no such file; check the path/);
});

test("a folder whose only model is a GGUF file opens as that file; of several one must be named", async () => {
  const folder = join(scratch, "gguf-alone");
  await mkdir(folder);
  await cp(join(tinyModel, "model.gguf"), join(folder, "tiny-F16.gguf"));
  const [alone, file] = [await openCheckpointFile(folder), await openCheckpointFile(join(tinyModel, "model.gguf"))];
  assert.equal(await alone.digest(), await file.digest());
  assert.deepEqual(await alone.read("model.norm.weight"), await file.read("model.norm.weight"));
  await cp(join(folder, "tiny-F16.gguf"), join(folder, "tiny-Q8_0.gguf"));
  await assertRefused(
    openCheckpointFile(folder),
    /several models in one folder: .*: tiny-F16\.gguf, tiny-Q8_0\.gguf; give the path of one of them/,
  );
});

test("an infinite weight or NaN is told by name when it is read, and the rest can be read", async () => {
  for (const bits of [0x7fc0, 0xff80]) {
    const poison = (t: Tensor) => {
      if (t.name !== "model.layers.2.self_attn.q_proj.weight") return t;
      const data = t.data.slice();
      data[5] = bits;
      return { ...t, data };
    };
    const checkpoint = await openCheckpointFile(await variant({ tensors: poison }));
    await assertRefused(
      checkpoint.read("model.layers.2.self_attn.q_proj.weight"),
      /infinite or not a number: model\.layers\.2\.self_attn\.q_proj\.weight, element 5: /,
    );
    await checkpoint.read("model.norm.weight");
  }
});

test("a name that is not there, and a file that changed", async () => {
  await assertRefused(tiny.read("model.layers.0.q"), /missing tensor: model\.layers\.0\.q;/);
  const folder = await variant({});
  const checkpoint = await openCheckpointFile(folder);
  await appendFile(join(folder, "model.safetensors"), "x");
  await assertRefused(checkpoint.read("model.norm.weight"), /file has changed since it was opened/);
});

test("equal digests mean equal weights and config", async () => {
  const [same, otherWeights, otherConfig] = await Promise.all(
    [
      variant({}),
      variant({ tensors: (t) => (t.name === "model.norm.weight" ? { ...t, data: t.data.toReversed() } : t) }),
      variant({ config: { sliding_window: 9 } }),
    ].map(async (folder) => (await openCheckpointFile(await folder)).digest()),
  );
  assert.match(await tiny.digest(), /^[0-9a-f]{64}$/);
  assert.equal(same, await (await openCheckpointFile(await variant({}))).digest());
  assert.equal(new Set([same, otherWeights, otherConfig]).size, 3);
});

test("the generation config is the file's, or made from the config", async () => {
  assert.deepEqual(await tiny.generationConfig(), { bos_token_id: 2, eos_token_id: 1, pad_token_id: 0 });
  const made = await (
    await openCheckpointFile(await variant({ config: { eos_token_id: [1, 106] } }))
  ).generationConfig();
  assert.deepEqual(made, { _from_model_config: true, bos_token_id: 2, eos_token_id: [1, 106], pad_token_id: 0 });
});

test("a folder without a tokenizer opens, and says so when asked for it; later it may be there", async () => {
  const folder = await variant({});
  const checkpoint = await openCheckpointFile(folder);
  await assertRefused(checkpoint.tokenizer(), /tokenizer\.json: there is no such file/);
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) await cp(join(tinyModel, file), join(folder, file));
  assert.deepEqual(await checkpoint.tokenizer(), await tiny.tokenizer());
});

test("a GGUF's tokenizer is kept, found again, and made anew when it is damaged", async () => {
  const kept = new Map<string, unknown>();
  const keep: Keep = async (kind, { key, make, isWhole }) => {
    const name = JSON.stringify([kind, key]);
    const before = kept.get(name);
    if (isWhole(before)) return before;
    const made = await make();
    kept.set(name, made);
    return made;
  };
  const open = () => openCheckpointFile(join(tinyModel, "model.gguf"), { keep });
  assert.deepEqual(await (await open()).tokenizer(), await tiny.tokenizer());
  const [name, ...others] = kept.keys();
  assert.deepEqual(others, []);
  kept.set(name!, { tokenizer: { kept: true }, tokenizerConfig: {} });
  assert.deepEqual(await (await open()).tokenizer(), { tokenizer: { kept: true }, tokenizerConfig: {} });
  for (const damaged of [{ tokenizer: {} }, { tokenizer: [], tokenizerConfig: {} }, "", null]) {
    kept.set(name!, damaged);
    assert.deepEqual(await (await open()).tokenizer(), await tiny.tokenizer());
  }
});

test("a file's digest is kept, and made anew when the file has changed, if only in its times", async () => {
  const folder = join(scratch, "digests");
  await mkdir(folder);
  const path = join(folder, "model.gguf");
  await cp(join(tinyModel, "model.gguf"), path);
  const asked: string[] = [];
  const keep: Keep = async (kind, { key, make }) => {
    asked.push(JSON.stringify([kind, key]));
    return await make();
  };
  const digest = async () => (await openCheckpointFile(path, { keep })).digest();
  // Written just now: another write might leave the same times.
  const first = await digest();
  assert.deepEqual(asked, []);
  await sleep(2100);
  assert.equal(await digest(), first);
  assert.equal(await digest(), first);
  assert.equal(asked.length, 2);
  assert.equal(asked[0], asked[1]);
  // The same size, and its times set back, as `cp -p` and `touch -r` do.
  const { atime, mtime } = await stat(path);
  const bytes = await readFile(path);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(path, bytes);
  await utimes(path, atime, mtime);
  await sleep(2100);
  assert.notEqual(await digest(), first);
  assert.notEqual(asked[2], asked[0]);
});

test("the real model's weights are the reference's, tensor by tensor", {
  skip: skipWithoutModel || skipWithoutShared,
}, async () => {
  const reference = JSON.parse(await readFile(join(shared!, "reference", "base-weights.json"), "utf8")).tensors;
  const checkpoint = await openCheckpointFile(modelFile!);
  assert.deepEqual([...checkpoint.tensors.keys()].sort(), Object.keys(reference).sort());
  for (const name of checkpoint.tensors.keys()) {
    const { shape, data } = await checkpoint.read(name);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    assert.deepEqual({ shape, sha256 }, { shape: reference[name].shape, sha256: reference[name].sha256 }, name);
  }
});

test("a float32 or float16 file opens as its bfloat16 rounding", async () => {
  const bytes = new Uint8Array(await readFile(join(tinyModel, "model.safetensors")));
  const header = await readSafetensorsHeader(bufferSource(bytes));
  const folder = join(scratch, "float32");
  const json: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of tinyTensors) {
    const values = Uint32Array.from(tensor.data, (bits) => bits << 16);
    json[tensor.name] = {
      dtype: "F32",
      shape: header.get(tensor.name)!.shape,
      data_offsets: [offset, offset + values.byteLength],
    };
    offset += values.byteLength;
    parts.push(new Uint8Array(values.buffer));
  }
  const head = Buffer.from(JSON.stringify(json));
  const length = Buffer.alloc(8);
  length.writeUInt32LE(head.length);
  await mkdir(folder);
  await writeFile(join(folder, "model.safetensors"), Buffer.concat([length, head, ...parts]));
  await cp(join(tinyModel, "config.json"), join(folder, "config.json"));
  await assertSame(await openCheckpointFile(folder), tiny);
});

import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { encodeGguf, type GgufInput } from "./gguf.test-helper.ts";
import { bf16ToFloat32, float32ToBf16 } from "./half.ts";
import { openCheckpointFile } from "./open.ts";
import { expectedModels, randomTensors, writeModel } from "./random-model.test-helper.ts";
import { pairRows, unpairRows } from "./rotary-rows.ts";
import type { Tensor } from "./tensor.ts";
import { modelTensors, weightOffset } from "./tensor-names.ts";
import { writeCheckpoint } from "./write.ts";

const scratch = await mkdtemp(join(tmpdir(), "prunelab-foreign-"));
const refused = (opening: Promise<unknown>, message: RegExp) =>
  assert.rejects(opening, { name: "PrunelabError", message });

async function assertTensors(checkpoint: Checkpoint, tensors: readonly Tensor[]): Promise<void> {
  assert.deepEqual([...checkpoint.tensors.keys()].sort(), tensors.map(({ name }) => name).sort());
  for (const { name, data } of tensors) assert.deepEqual((await checkpoint.read(name)).data, data, name);
}

const json = (name: string) => expectedModels[name]!.config;
const smollm = randomTensors(json("smollm2"));
const renamed = (tensors: readonly Tensor[], rename: (name: string) => string) =>
  tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) }));

test("names as wrappers leave them: without model., of torch.compile and of DataParallel", async () => {
  for (const rename of [
    (name: string) => name.replace(/^model\./, ""),
    (name: string) => `_orig_mod.${name}`,
    (name: string) => name.replace(/layers\.(\d+)\./, "layers.$1._orig_mod."),
    (name: string) => `module.${name}`,
    (name: string) => `module._orig_mod.${name}`,
    (name: string) => name.replace(/layers\.(\d+)\./, "layers.$1._fsdp_wrapped_module._checkpoint_wrapped_module."),
    (name: string) => `base_model.model.${name}`,
  ]) {
    await assertTensors(await openCheckpointFile(await writeModel(json("smollm2"), renamed(smollm, rename))), smollm);
  }
  const unknown = writeModel(
    json("smollm2"),
    renamed(smollm, (name) => `base_model.${name}.lora_A`),
  );
  await refused(openCheckpointFile(await unknown), /^missing tensor: model\.embed_tokens\.weight: .*not an adapter$/);
  const others = renamed(smollm, (name) => `transformer.${name}`);
  await refused(
    openCheckpointFile(await writeModel(json("smollm2"), others)),
    /^missing tensor: model\.embed_tokens\.weight: .*the first is transformer\.model\..*not an adapter$/,
  );
  const beside = { ...smollm[1]!, name: "base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight" };
  await refused(openCheckpointFile(await writeModel(json("smollm2"), [...smollm, beside])), /^adapter is not merged: /);
});

test("a folder whose weights only Python can read, and one of an adapter, are told", async () => {
  const folder = await writeModel(json("smollm2"), smollm);
  await rename(join(folder, "model.safetensors"), join(folder, "pytorch_model.bin"));
  await refused(
    openCheckpointFile(folder),
    /^not a checkpoint: .*: it holds pytorch_model\.bin, .*save_pretrained\(other\)$/,
  );
  await writeFile(join(folder, "adapter_config.json"), "{}");
  await refused(openCheckpointFile(folder), /^not a whole model: .*: it holds an adapter; give its base model/);
});

test("a head that differs from the embedding is used, one that is the same is left out", async () => {
  const embedding = smollm.find(({ name }) => name === "model.embed_tokens.weight")!;
  const head = { ...embedding, name: "lm_head.weight" };
  const same = await openCheckpointFile(await writeModel(json("smollm2"), [...smollm, head]));
  assert.equal(same.config.tie_word_embeddings, true);
  await assertTensors(same, smollm);
  const data = head.data.slice();
  data[7]! ^= 1;
  const other = await openCheckpointFile(await writeModel(json("smollm2"), [...smollm, { ...head, data }]));
  assert.equal(other.config.tie_word_embeddings, false);
  await assertTensors(other, [...smollm, { ...head, data }]);
  await refused(
    openCheckpointFile(await writeModel({ ...json("smollm2"), tie_word_embeddings: false }, smollm)),
    /^missing tensor: lm_head\.weight: /,
  );
});

test("torch's unfinished pruning is told, and finished if asked", async () => {
  const isPruned = (name: string) => /mlp\.\w+\.weight$/.test(name);
  const mask = ({ data, shape, name }: Tensor): Tensor => ({
    name: `${name}_mask`,
    shape,
    data: Uint16Array.from(data, (_, i) => (i % 3 === 0 ? 0 : 0x3f80)),
  });
  const stored = smollm.flatMap((tensor) =>
    isPruned(tensor.name) ? [{ ...tensor, name: `${tensor.name}_orig` }, mask(tensor)] : [tensor],
  );
  const folder = await writeModel(json("smollm2"), stored);
  await refused(
    openCheckpointFile(folder),
    /^pruning is not finished: .*: 12 tensors are stored as weight_orig and weight_mask, .*open it with applyMasks: true/,
  );
  const finished = smollm.map((tensor) =>
    isPruned(tensor.name) ? { ...tensor, data: tensor.data.map((bits, i) => (i % 3 === 0 ? 0 : bits)) } : tensor,
  );
  await assertTensors(await openCheckpointFile(folder, { applyMasks: true }), finished);
});

test("a quantisation that cannot be read is named, with those that can", async () => {
  const config = { ...json("smollm2"), quantization_config: { quant_method: "gptq", bits: 4 } };
  await refused(
    openCheckpointFile(await writeModel(config, smollm)),
    /^unsupported quantization: .*config\.json: "gptq"; Prunelab reads safetensors in F32, F16 and BF16, and gguf in F32, .*Q4_K/,
  );
});

test("a shard alone is told; with its index beside it, all shards are opened", async () => {
  const folder = await writeModel(json("smollm2"), smollm);
  const shard = join(folder, "model-00001-of-00001.safetensors");
  await rename(join(folder, "model.safetensors"), shard);
  await refused(
    openCheckpointFile(shard),
    /^one part of a model in several files: .*: model\.safetensors\.index\.json is not/,
  );
  const weightMap = Object.fromEntries(smollm.map(({ name }) => [name, "model-00001-of-00001.safetensors"]));
  await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
  await assertTensors(await openCheckpointFile(shard), smollm);
  await assertTensors(await openCheckpointFile(folder), smollm);
});

/** A GGUF of a random model in F32, as llama.cpp's converter names, permutes and offsets its tensors. */
function ggufOf(name: string, architecture: string, changes: Record<string, unknown> = {}) {
  const tensors = randomTensors(json(name));
  const config = modelConfigs.get(name)!;
  const key = (suffix: string) => `${architecture}.${suffix}`;
  const metadata: Record<string, unknown> = {
    "general.architecture": architecture,
    [key("context_length")]: config.max_position_embeddings,
    [key("embedding_length")]: config.hidden_size,
    [key("block_count")]: config.num_hidden_layers,
    [key("feed_forward_length")]: config.intermediate_size,
    [key("attention.head_count")]: config.num_attention_heads,
    [key("attention.head_count_kv")]: config.num_key_value_heads,
    [key("attention.key_length")]: config.head_dim,
    [key("attention.layer_norm_rms_epsilon")]: config.rms_norm_eps,
    [key("rope.freq_base")]: config.rope_theta,
    "tokenizer.ggml.bos_token_id": 2,
    "tokenizer.ggml.eos_token_id": 1,
    "tokenizer.ggml.padding_token_id": 0,
    ...changes,
  };
  const names = new Map(modelTensors(config).map((tensor) => [tensor.name, tensor.ggufName]));
  const inputs: GgufInput[] = tensors.map(({ name, shape, data }) => {
    const rows = /[qk]_proj/.test(name) && architecture === "llama" ? pairRows(data, shape[0]!, config.head_dim) : data;
    const values = bf16ToFloat32(rows).map((value) => value + weightOffset(config, name));
    return { name: names.get(name)!, shape, type: 0, bytes: new Uint8Array(values.buffer) };
  });
  return { tensors, metadata, inputs };
}

const modelConfigs = new Map<string, Checkpoint["config"]>();
for (const name of ["qwen3", "qwen2.5", "olmo2", "smollm2"]) {
  modelConfigs.set(name, (await openCheckpointFile(await writeModel(json(name), randomTensors(json(name))))).config);
}

test("each family's GGUF has the config and the tensors of its folder: names, permuted rows, biases, heads", async () => {
  for (const [name, architecture] of [
    ["smollm2", "llama"],
    ["qwen3", "qwen3"],
    ["qwen2.5", "qwen2"],
    ["olmo2", "olmo2"],
  ] as const) {
    const { tensors, metadata, inputs } = ggufOf(name, architecture);
    const path = join(scratch, `${name}.gguf`);
    await writeFile(path, encodeGguf(metadata, inputs));
    const checkpoint = await openCheckpointFile(path);
    assert.deepEqual(checkpoint.config, modelConfigs.get(name), name);
    await assertTensors(checkpoint, tensors);
  }
});

test("a GGUF's own output.weight is the head unless it is the embedding again", async () => {
  const { tensors, metadata, inputs } = ggufOf("smollm2", "llama");
  const embedding = inputs.find(({ name }) => name === "token_embd.weight")!;
  const path = join(scratch, "head.gguf");
  await writeFile(path, encodeGguf(metadata, [...inputs, { ...embedding, name: "output.weight" }]));
  await assertTensors(await openCheckpointFile(path), tensors);
  const values = new Float32Array(embedding.bytes.slice().buffer).map((value) => 2 * value);
  const head = { ...embedding, name: "output.weight", bytes: new Uint8Array(values.buffer) };
  await writeFile(path, encodeGguf(metadata, [...inputs, head]));
  const expected = { name: "lm_head.weight", shape: embedding.shape, data: float32ToBf16(values) };
  await assertTensors(await openCheckpointFile(path), [...tensors, expected]);
});

test("Llama 3's scaled RoPE comes back from a GGUF's factors, and other factors are refused", async () => {
  const { metadata, inputs } = ggufOf("smollm2", "llama", { "llama.rope.freq_base": 500_000 });
  const factors = Float32Array.from({ length: 8 }, (_, i) => {
    const turns = 8192 / (2 * Math.PI * 500_000 ** (i / 8));
    const share = Math.min(1, Math.max(0, (turns - 1) / 3));
    return 1 / (share + (1 - share) / 32);
  });
  const path = join(scratch, "rope.gguf");
  const write = (values: Float32Array) => {
    const bytes = new Uint8Array(values.buffer);
    return writeFile(
      path,
      encodeGguf(metadata, [...inputs, { name: "rope_freqs.weight", shape: [8], type: 0, bytes }]),
    );
  };
  await write(factors);
  assert.deepEqual((await openCheckpointFile(path)).config.rope_scaling, {
    rope_type: "llama3",
    factor: 32,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  });
  await write(factors.map((factor) => factor ** 2));
  await refused(openCheckpointFile(path), /^unsupported rope_freqs\.weight: .*rope\.gguf; Prunelab knows/);
});

test("the files of a split GGUF are opened together, by any of them, and one alone is told", async () => {
  const { tensors, metadata, inputs } = ggufOf("smollm2", "llama");
  const folder = await mkdtemp(join(scratch, "split-"));
  const part = (index: number) => join(folder, `m-0000${index + 1}-of-00002.gguf`);
  const half = Math.floor(inputs.length / 2);
  const split = (no: number) => ({ "split.no": no, "split.count": 2, "split.tensors.count": inputs.length });
  await writeFile(part(0), encodeGguf({ ...metadata, ...split(0) }, inputs.slice(0, half)));
  await refused(
    openCheckpointFile(part(0)),
    /^one part of a model in 2 files: .*m-00001-of-00002\.gguf: m-00002-of-00002\.gguf is not beside it; put all parts/,
  );
  await writeFile(part(1), encodeGguf(split(1), inputs.slice(half)));
  await assertTensors(await openCheckpointFile(part(0)), tensors);
  await assertTensors(await openCheckpointFile(part(1)), tensors);
  await cp(part(0), join(folder, "other.gguf"));
  await refused(openCheckpointFile(join(folder, "other.gguf")), /^one part of a model in 2 files: .*another name/);
});

test("rows are paired as llama.cpp's converter does, and back", () => {
  // A head of 4: rows 0, 1 | 2, 3 become 0, 2, 1, 3.
  assert.deepEqual([...pairRows(Uint16Array.of(0, 1, 2, 3, 4, 5, 6, 7), 8, 4)], [0, 2, 1, 3, 4, 6, 5, 7]);
  const data = Uint16Array.from({ length: 24 * 5 }, (_, i) => i);
  assert.deepEqual(unpairRows(pairRows(data, 24, 6), 24, 6), data);
});

test("a chat template in a file of its own is read, and kept where the checkpoint is written", async () => {
  const folder = await mkdtemp(join(scratch, "chat-"));
  await cp(tinyModel, folder, { recursive: true });
  await writeFile(join(folder, "chat_template.jinja"), "{{ messages[0].content }}\n");
  const out = join(scratch, "chat-out");
  await writeCheckpoint(await openCheckpointFile(folder), out);
  const { tokenizerConfig } = await (await openCheckpointFile(out)).tokenizer();
  assert.equal(tokenizerConfig.chat_template, "{{ messages[0].content }}\n");
  assert.equal(await readFile(join(out, "chat_template.jinja"), "utf8"), "{{ messages[0].content }}\n");
  assert.ok(!(await readFile(join(out, "tokenizer_config.json"), "utf8")).includes("chat_template"));
  await rm(join(folder, "chat_template.jinja"));
  const config = JSON.parse(await readFile(join(folder, "tokenizer_config.json"), "utf8"));
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ ...config, chat_template: "x" }));
  await writeCheckpoint(await openCheckpointFile(folder), out);
  assert.equal((await (await openCheckpointFile(out)).tokenizer()).tokenizerConfig.chat_template, "x");
});

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { expectedModels, randomModel, randomTensors, writeModel } from "../checkpoint/random-model.test-helper.ts";
import { prune } from "../prune/prune.ts";
import { exportModel } from "./export-model.ts";
import { findForm } from "./forms.ts";

const scratch = await mkdtemp(join(tmpdir(), "prunelab-gguf-"));
test.after(() => rm(scratch, { recursive: true }));
let folders = 0;
const newFolder = () => join(scratch, `${++folders}`);

const open = async (folder: string, { files }: { files: readonly { name: string }[] }) =>
  openCheckpointFile(join(folder, files[0]!.name));

/** The tiny Gemma as a folder, which knows of no GGUF, half of its layers' weights zero. */
const tiny = await openCheckpointFile(tinyModel);
const pruned = await prune(tiny, { method: "magnitude", sparsity: 0.5 });

/** What llama.cpp cannot hold of the random models, and the sentence's part that says so. */
const refused: Readonly<Record<string, RegExp>> = {
  "gemma3-4b": /query_pre_attn_scalar 16, this one 10/,
  "gemma3-untied": /no bias such as model\.layers\.0\.self_attn\.q_proj\.bias/,
  "llama-3.2": /unsupported rope_freqs\.weight/,
  "qwen2-window": /layer_types|sliding_window/,
};

for (const name of Object.keys(expectedModels)) {
  test(`${name}: safetensors to GGUF and back`, async () => {
    const model = await randomModel(name);
    const folder = newFolder();
    if (refused[name]) {
      await assert.rejects(exportModel(model, folder, { to: "gguf:bf16" }), refused[name]);
      return;
    }
    for (const to of ["gguf:bf16", "gguf:f16", "gguf:q4_0"]) {
      const exported = await exportModel(model, folder, { to });
      const again = await open(folder, exported);
      assert.deepEqual(
        { ...again.config, bos_token_id: 0, eos_token_id: 0, pad_token_id: 0 },
        { ...model.config, bos_token_id: 0, eos_token_id: 0, pad_token_id: 0 },
      );
      if (to !== "gguf:bf16") continue;
      for (const tensor of model.tensors.keys()) {
        const [own, seen] = [(await model.read(tensor)).data, (await again.read(tensor)).data];
        // 1 + w in float32 keeps no more of a small w.
        if (tensor.endsWith("norm.weight")) assertNear(bf16ToFloat32(seen), bf16ToFloat32(own), 2 ** -9);
        else assert.deepEqual(seen, own, tensor);
      }
    }
  });
}

function assertNear(seen: Float32Array, expected: Float32Array, tolerance: number): void {
  for (const [i, value] of expected.entries()) assert.ok(Math.abs(seen[i]! - value) <= tolerance, `${i}`);
}

test("Llama 3's scaling of RoPE comes back, as do windows and a linear factor", async () => {
  const llama = { ...expectedModels["llama-3.2"]!.config };
  llama.rope_parameters = { ...(llama.rope_parameters as object), original_max_position_embeddings: 8192 };
  const gemma = { ...expectedModels["gemma3-4b"]!.config, query_pre_attn_scalar: 16 };
  const types = [
    "sliding_attention",
    "full_attention",
    "full_attention",
    "sliding_attention",
    "full_attention",
    "full_attention",
  ];
  for (const config of [llama, gemma, { ...gemma, layer_types: types }, { ...gemma, final_logit_softcapping: 4 }]) {
    const model = await openCheckpointFile(await writeModel(config, randomTensors(config)));
    const folder = newFolder();
    const again = await open(folder, await exportModel(model, folder, { to: "gguf:bf16" }));
    assert.deepEqual(again.config.rope_scaling, model.config.rope_scaling);
    assert.deepEqual(again.config.layer_types, model.config.layer_types);
    assert.equal(again.config.final_logit_softcapping, model.config.final_logit_softcapping);
  }
});

test("zeros stay zero in every type, and the tokenizer comes back", async () => {
  for (const type of ["f16", "bf16", "q8_0", "q5_0", "q4_0"]) {
    const folder = newFolder();
    const exported = await exportModel(pruned, folder, { to: `gguf:${type}` });
    const again = await open(folder, exported);
    for (const name of pruned.tensors.keys()) {
      const [own, seen] = [(await pruned.read(name)).data, (await again.read(name)).data];
      for (const [i, bits] of own.entries())
        if ((bits & 0x7fff) === 0 && !name.includes("norm")) assert.equal(seen[i]! & 0x7fff, 0);
    }
    assert.deepEqual(await again.tokenizer(), await pruned.tokenizer());
    assert.match(exported.summary, /tensors: .*; .*|tensors: /);
  }
});

test("tensors that were not touched keep the base's blocks, also with the base given", async () => {
  const dense = await openCheckpointFile(join(tinyModel, "model.gguf"));
  const half = await prune(dense, { method: "magnitude", sparsity: 0.5, scope: /down_proj/ });
  const bytesOf = async (model: Checkpoint, name: string) => {
    const { source, start, end } = model.gguf!.tensors.get(name)!;
    return Buffer.from(await source.slice(start, end));
  };
  const gate = "model.layers.0.mlp.gate_proj.weight";
  const folder = newFolder();
  const again = await open(folder, await exportModel(half, folder, { to: "gguf:q8_0" }));
  assert.deepEqual(await bytesOf(again, gate), await bytesOf(dense, gate));
  assert.equal(again.gguf!.tensors.get("model.layers.0.mlp.down_proj.weight")!.type.name, "Q8_0");

  const { gguf: _, ...forgotten } = half;
  const second = newFolder();
  const exported = await exportModel(forgotten, second, { to: "gguf:q8_0", base: dense });
  assert.deepEqual(
    await readFile(join(second, exported.files[0]!.name)),
    await readFile(join(folder, exported.files[0]!.name)),
  );
});

test("weights that SparseGPT rounded to steps lose nothing more", async () => {
  for (const [bits, types] of [
    [4, ["q4_0", "q5_0", "q8_0"]],
    [8, ["q8_0"]],
  ] as const) {
    const model = await prune(tiny, {
      ...{ method: "sparsegpt", sparsity: 0.5, quantize: { bits } },
      calibration: { source: [join(tinyModel, "..", "README.md")], windows: 2, tokens: 32 },
    });
    for (const type of types) {
      const folder = newFolder();
      const again = await open(folder, await exportModel(model, folder, { to: `gguf:${type}` }));
      for (const name of model.tensors.keys()) {
        if (!/(self_attn|mlp)\.\w+_proj\.weight/.test(name)) continue;
        const [own, seen] = [(await model.read(name)).data, (await again.read(name)).data];
        assert.deepEqual(
          bf16ToFloat32(seen).map((x) => x + 0),
          bf16ToFloat32(own).map((x) => x + 0),
          `${bits} ${type} ${name}`,
        );
      }
    }
  }
});

test("rows that make no whole blocks stay in float16, and the summary says so", async () => {
  const folder = newFolder();
  const { summary } = await exportModel(await randomModel("qwen2.5"), folder, { to: "gguf:q8_0" });
  assert.match(summary, /\d+ in F16, since their rows do not divide into blocks of 32/);
});

test("an asymmetric type, a file in the way, a missing tokenizer, a weight beyond float16", async () => {
  for (const type of ["q4_1", "q5_1", "q2_k", "q4_k", "q5_k", "q4_k_m", "iq4_nl"]) {
    assert.throws(() => findForm(`gguf:${type}`), /would not stay zero.*gguf:q4_0/);
  }
  assert.throws(() => findForm("gguf:q9"), /unknown form: gguf:q9; choose one of/);
  const folder = newFolder();
  await exportModel(pruned, folder, { to: "gguf:q8_0" });
  await assert.rejects(exportModel(pruned, folder, { to: "gguf:q8_0" }), /there already: .*-Q8_0\.gguf; .*--force/);
  await exportModel(pruned, folder, { to: "gguf:q8_0", force: true });
  await assert.rejects(exportModel(pruned, join(folder, "x.gguf"), { to: "gguf:q8_0" }), /is a folder, not a file/);

  const { config } = expectedModels.smollm2!;
  const tensors = randomTensors(config);
  const bare = await writeModel(config, tensors);
  await rm(join(bare, "tokenizer.json"));
  await assert.rejects(exportModel(await openCheckpointFile(bare), newFolder(), { to: "gguf:f16" }), /tokenizer\.json/);

  tensors[3]!.data[0] = 0x4800; // 131,072
  const large = await openCheckpointFile(await writeModel(config, tensors));
  const path = newFolder();
  await assert.rejects(exportModel(large, path, { to: "gguf:f16" }), /too large for float16: .*gguf:bf16/);
  assert.equal(await stat(path).then((found) => found.isDirectory()), true);
  await exportModel(large, path, { to: "gguf:bf16" });
});

test("a byte-level tokenizer becomes gpt2's kind with its merges, and is told where it is cut unlike any", async () => {
  const { config } = expectedModels.smollm2!;
  const folder = await writeModel(config, randomTensors(config));
  const tokens = ["<|bos|>", "<|end|>", ..."abcdefgh", "Ġ", "ab", "Ġa", "abc"];
  const tokenizer = {
    added_tokens: ["<|bos|>", "<|end|>"].map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Digits", individual_digits: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: true },
      ],
    },
    post_processor: null,
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: ["a b", ["Ġ", "a"], "ab c"],
    },
  };
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(
    join(folder, "tokenizer_config.json"),
    JSON.stringify({ eos_token: { content: "<|end|>" }, bos_token: "<|bos|>" }),
  );
  const out = newFolder();
  const again = await open(out, await exportModel(await openCheckpointFile(folder), out, { to: "gguf:f16" }));
  const metadata = again.gguf!.metadata;
  assert.equal(metadata["tokenizer.ggml.pre"], "smollm");
  assert.deepEqual(metadata["tokenizer.ggml.merges"], ["a b", "Ġ a", "ab c"]);
  assert.equal(metadata["tokenizer.ggml.add_bos_token"], false);
  assert.equal(metadata["tokenizer.ggml.eos_token_id"], 1);
  assert.deepEqual((metadata["tokenizer.ggml.token_type"] as number[]).slice(0, 17), [
    3,
    3,
    ...new Array(12).fill(1),
    5,
    5,
    5,
  ]);
  const { model } = (await again.tokenizer()).tokenizer as { model: { merges: unknown } };
  assert.deepEqual(model.merges, [
    ["a", "b"],
    ["Ġ", "a"],
    ["ab", "c"],
  ]);

  await writeFile(
    join(folder, "tokenizer.json"),
    JSON.stringify({ ...tokenizer, pre_tokenizer: { type: "Whitespace" } }),
  );
  await assert.rejects(
    exportModel(await openCheckpointFile(folder), newFolder(), { to: "gguf:f16" }),
    /cuts texts in a way/,
  );
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify({ ...tokenizer, model: { type: "Unigram" } }));
  await assert.rejects(
    exportModel(await openCheckpointFile(folder), newFolder(), { to: "gguf:f16" }),
    /unsupported tokenizer.*Unigram/,
  );
});

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AutoModelForCausalLM, ModelRegistry, Tensor } from "@huggingface/transformers";
import { tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { randomModel } from "../checkpoint/random-model.test-helper.ts";
import { exportModel } from "./export-model.ts";

const dtypes = ["fp32", "fp16", "q8", "q4", "q4f16"] as const;
const ids = [2, 72, 295, 437, 414, 36, 134, 64, 257, 393, 234];

const folder = mkdtempSync(join(tmpdir(), "prunelab-forms-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function withModel<Result>(
  path: string,
  dtype: string,
  use: (model: Awaited<ReturnType<typeof AutoModelForCausalLM.from_pretrained>>) => Promise<Result>,
): Promise<Result> {
  const model = await AutoModelForCausalLM.from_pretrained(path, { dtype: dtype as "fp32" });
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

function inputs(rows: readonly (readonly number[])[]) {
  const length = Math.max(...rows.map((row) => row.length));
  const padded = (row: readonly number[], value: (id: number) => number) => [
    ...Array<number>(length - row.length).fill(0),
    ...row.map(value),
  ];
  const tensor = (value: (id: number) => number) =>
    new Tensor(
      "int64",
      BigInt64Array.from(
        rows.flatMap((row) => padded(row, value)),
        BigInt,
      ),
      [rows.length, length],
    );
  return { input_ids: tensor((id) => id), attention_mask: tensor(() => 1) };
}

const logitsOf = (path: string, dtype: string, tokens: readonly number[] = ids) =>
  withModel(path, dtype, async (model) => ((await model(inputs([tokens]))).logits as Tensor).data as Float32Array);

function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (x: Float32Array) => x.reduce((sum, value) => sum + value, 0) / x.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [both, ownA, ownB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]! - meanA, b[i]! - meanB];
    both += x * y;
    ownA += x * x;
    ownB += y * y;
  }
  return both / Math.sqrt(ownA * ownB);
}

let tiny: Checkpoint;
before(async () => {
  tiny = await openCheckpointFile(tinyModel);
  for (const dtype of dtypes) await exportModel(tiny, folder, { to: `onnx:${dtype}` });
});

test("transformers.js sees each form of a folder", async () => {
  assert.deepEqual(new Set(await ModelRegistry.get_available_dtypes(folder)), new Set(dtypes));
});

for (const [dtype, least] of Object.entries({ fp16: 0.9999, q8: 0.999, q4: 0.97, q4f16: 0.97 })) {
  test(`${dtype} has nearly float32's logits, for one token at a time as for all at once`, async () => {
    const exact = await logitsOf(folder, "fp32");
    const own = await logitsOf(folder, dtype);
    assert.ok(correlation(exact, own) > least, String(correlation(exact, own)));
    const continued = await withModel(folder, dtype, async (model) => {
      const [output] = (
        (await model.generate({ ...inputs([ids]), max_new_tokens: 8, do_sample: false })) as Tensor
      ).tolist();
      return output.map(Number) as number[];
    });
    assert.equal(continued.length, ids.length + 8);
    for (let length = ids.length; length < continued.length; length++) {
      const logits = (await logitsOf(folder, dtype, continued.slice(0, length))).slice(-512);
      const best = logits.indexOf(Math.max(...logits));
      assert.ok(logits[best]! - logits[continued[length]!]! < 0.01, `token ${length}`);
    }
  });

  test(`${dtype}: a prompt padded on the left continues as it does alone`, async () => {
    await withModel(folder, dtype, async (model) => {
      const prompts = [ids.slice(0, 4), ids];
      const run = async (rows: number[][]) =>
        ((await model.generate({ ...inputs(rows), max_new_tokens: 6, do_sample: false })) as Tensor)
          .tolist()
          .map((row: bigint[]) => row.slice(-6).map(Number));
      assert.deepEqual(await run(prompts), [...(await run([prompts[0]!])), ...(await run([prompts[1]!]))]);
    });
  });
}

test("the config names the forms that are there, and says whose they are", async () => {
  const { "transformers.js_config": own } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  assert.equal(own.dtype, "fp32");
  assert.deepEqual(own.device_config, { wasm: { dtype: "q8" } });
  assert.equal(own.use_external_data_format, true);
  const other = await randomModel("gemma3-270m");
  await assert.rejects(exportModel(other, folder, { to: "onnx:q8", force: true }), /another model is there already/);
  await assert.rejects(
    exportModel(tiny, folder, { to: "onnx:q8" }),
    /there already: .*model_quantized\.onnx; .*--force/,
  );
});

test("other families leave too, and rows that cannot be cut into blocks are refused before anything is written", async (t) => {
  for (const name of ["llama-3.2", "smollm2", "qwen2.5", "olmo2-groups", "gemma3-untied"]) {
    const model = await randomModel(name);
    const out = mkdtempSync(join(tmpdir(), "prunelab-families-"));
    t.after(() => rmSync(out, { recursive: true, force: true }));
    await exportModel(model, out, { to: "onnx:fp32" });
    const prompt = [2, 5, 90, 41, 8, 77];
    const exact = await logitsOf(out, "fp32", prompt);
    for (const [dtype, least] of Object.entries({ q8: 0.99, q4f16: 0.9 })) {
      if (dtype === "q4f16" && model.config.hidden_size % 32 !== 0) {
        const refused = /rows are not a multiple of 32 long: model\.embed_tokens\.weight: \d+; onnx:q4f16 needs that/;
        await assert.rejects(exportModel(model, out, { to: "onnx:q4f16" }), refused);
        continue;
      }
      await exportModel(model, out, { to: `onnx:${dtype}` });
      const found = correlation(exact, await logitsOf(out, dtype, prompt));
      assert.ok(found > least, `${name} ${dtype}: ${found}`);
    }
  }
});

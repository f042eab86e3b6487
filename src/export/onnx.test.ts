import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AutoModelForCausalLM, AutoTokenizer, Tensor } from "@huggingface/transformers";
import { modelFile, shared, skipWithoutModel, skipWithoutShared, tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { exportModel } from "./export-model.ts";

type Generator = Awaited<ReturnType<typeof AutoModelForCausalLM.from_pretrained>>;

async function withExported(checkpoint: Checkpoint, use: (folder: string, model: Generator) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-export-"));
  try {
    await exportModel(checkpoint, folder);
    const model = await AutoModelForCausalLM.from_pretrained(folder);
    await use(folder, model);
    await model.dispose();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Greedy continuation: the ids of the prompts with what follows. */
async function greedy(model: Generator, rows: readonly (readonly number[])[], newTokens: number): Promise<number[][]> {
  const length = Math.max(...rows.map((row) => row.length));
  const padding = (row: readonly number[]) => new Array<number>(length - row.length);
  const tensor = (values: number[]) => new Tensor("int64", BigInt64Array.from(values, BigInt), [rows.length, length]);
  const output = await model.generate({
    input_ids: tensor(rows.flatMap((row) => [...padding(row).fill(0), ...row])),
    attention_mask: tensor(rows.flatMap((row) => [...padding(row).fill(0), ...row.map(() => 1)])),
    max_new_tokens: newTokens,
    do_sample: false,
  });
  return (output as Tensor).tolist().map((ids: bigint[], i: number) => ids.slice(length - rows[i]!.length).map(Number));
}

test("transformers.js generates what Python's transformers does from the exported folder", async () => {
  await withExported(await openCheckpointFile(tinyModel), async (folder, model) => {
    // transformers 5.23, greedy, on data/tiny-gemma3.
    const expected = [[2, 72, 295, 437, 414, ...new Array<number>(20).fill(414)]];
    assert.deepEqual(await greedy(model, [[2, 72, 295, 437, 414]], 20), expected);
    const tokenizer = await AutoTokenizer.from_pretrained(folder);
    assert.equal(tokenizer.decode(tokenizer.encode("a model"), { skip_special_tokens: true }), "a model");
  });
});

test("a prompt padded on the left continues as it does alone", async () => {
  await withExported(await openCheckpointFile(tinyModel), async (_, model) => {
    const prompts = [
      [2, 301, 17, 44],
      [2, 72, 295, 437, 414, 36, 134, 64, 257, 393, 234],
    ];
    const together = await greedy(model, prompts, 12);
    for (const [i, prompt] of prompts.entries()) assert.deepEqual(together[i], (await greedy(model, [prompt], 12))[0]);
  });
});

test("logits are there for every position, or for the last only", async () => {
  await withExported(await openCheckpointFile(tinyModel), async (_, model) => {
    const ids = [2, 72, 295, 437, 414];
    const inputs = {
      input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, 5]),
      attention_mask: new Tensor(
        "int64",
        BigInt64Array.from(ids, () => 1n),
        [1, 5],
      ),
    };
    const all = (await model(inputs)).logits as Tensor;
    assert.deepEqual(all.dims, [1, 5, 512]);
    const last = (await model({ ...inputs, num_logits_to_keep: new Tensor("int64", [1n], []) })).logits as Tensor;
    assert.deepEqual(last.dims, [1, 1, 512]);
    assert.deepEqual(Array.from(last.data as Float32Array), Array.from(all.data as Float32Array).slice(4 * 512));
  });
});

test("the real model's greedy continuations are the reference's", {
  skip: skipWithoutShared || skipWithoutModel,
}, async () => {
  const reference = JSON.parse(readFileSync(join(shared!, "reference", "logits.json"), "utf8"));
  await withExported(await openCheckpointFile(modelFile!), async (folder, model) => {
    const tokenizer = await AutoTokenizer.from_pretrained(folder);
    for (const { prompt, ids, text } of reference.base.greedy30) {
      const prompted = tokenizer.encode(prompt);
      const [output] = await greedy(model, [prompted], 30);
      assert.deepEqual(output, ids);
      assert.equal(tokenizer.decode(output!, { skip_special_tokens: true }), text);
    }
  });
});

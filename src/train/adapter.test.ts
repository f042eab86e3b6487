import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { writeCheckpoint } from "../checkpoint/write.ts";
import { loadLanguageModel } from "../model/load.ts";
import { applyAdapter, mergeAdapter, type PromptAdapter, readAdapter } from "./adapter.ts";

/** What transformers and peft answer, by scripts/tools/peft-adapters.py. */
const expected = JSON.parse(await readFile("data/expected/peft.json", "utf8")) as Record<
  "dense" | "lora" | "prompt",
  number[]
> & {
  windows: number[][];
};
const dense = await openCheckpointFile("data/tiny-gemma3");

test("an adapter that peft wrote gives peft's answers", async () => {
  for (const [kind, checkpoint] of [
    ["dense", dense],
    ["lora", await applyAdapter(dense, "data/expected/peft-lora")],
    ["prompt", await applyAdapter(dense, "data/expected/peft-prompt")],
  ] as const) {
    const model = await loadLanguageModel(checkpoint);
    const sums = await model.loglikelihoodTokens(expected.windows);
    await model.release();
    for (const [index, sum] of sums.entries()) {
      const own = expected[kind][index]!;
      // Of a sum over 23 tokens.
      assert.ok(Math.abs(sum - own) < 23 * 1e-5 * 10, `${kind} ${index}: ${sum}, ${own}`);
    }
  }
  assert.ok(Math.abs(expected.dense[0]! - expected.lora[0]!) > 0.01);
});

test("a prompt stands before every text, scored, rolled and continued, and is not written as a checkpoint", async () => {
  const prompted = await applyAdapter(dense, "data/expected/peft-prompt");
  const [plain, model] = [await loadLanguageModel(dense), await loadLanguageModel(prompted)];
  assert.equal(model.maxLength, plain.maxLength - 3);
  assert.notEqual(model.digest, plain.digest);
  const context = "the river";
  const continuation = " and the moon";
  const ask = async (own: typeof model) => ({
    scored: (await own.loglikelihood([{ context, continuation }]))[0]!.sum,
    rolled: (await own.loglikelihoodRolling([context + continuation]))[0]!,
    // Longer than the model sees: each window has the prompt.
    long: (await own.loglikelihoodRolling([`${context}${continuation}`.repeat(60)]))[0]!,
    written: (await own.generateUntil([{ context, until: [], maxNewTokens: 4 }]))[0]!,
  });
  const [without, having] = [await ask(plain), await ask(model)];
  assert.notEqual(having.scored, without.scored);
  assert.notEqual(having.rolled, without.rolled);
  assert.ok(Number.isFinite(having.long));
  assert.equal(typeof having.written, "string");
  await Promise.all([plain.release(), model.release()]);
  await assert.rejects(writeCheckpoint(prompted, join(tmpdir(), "prompted")), /no place for a prompt's virtual tokens/);
  await assert.rejects(mergeAdapter(dense, "data/expected/peft-prompt"), /a prompt is not part of the weights/);
  const adapter = (await readAdapter("data/expected/peft-prompt")) as PromptAdapter;
  const { data } = adapter.tensors.get("prompt_embeddings")!;
  const narrow = { ...adapter, tensors: new Map([["prompt_embeddings", { shape: [6, data.length / 6], data }]]) };
  await assert.rejects(applyAdapter(dense, narrow), /adapter for other shapes: prompt_embeddings is 6 × 16/);
});

test("a folder without an adapter is said so", async () => {
  await assert.rejects(readAdapter("data/tiny-gemma3"), /adapter_config\.json: there is no such file/);
});

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { loadLanguageModel } from "../model/load.ts";
import { applyAdapter, readAdapter } from "./adapter.ts";

/** What transformers and peft answer, by scripts/tools/peft-adapters.py. */
const expected = JSON.parse(await readFile("data/expected/peft.json", "utf8")) as Record<"dense" | "lora", number[]> & {
  windows: number[][];
};
const dense = await openCheckpointFile("data/tiny-gemma3");

test("an adapter that peft wrote gives peft's answers", async () => {
  for (const [kind, checkpoint] of [
    ["dense", dense],
    ["lora", await applyAdapter(dense, "data/expected/peft-lora")],
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

test("a prompt that peft wrote is read", async () => {
  const adapter = await readAdapter("data/expected/peft-prompt");
  assert.equal(adapter.type, "PROMPT_TUNING");
  assert.deepEqual(adapter.tensors.get("prompt_embeddings")!.shape, [3, dense.config.hidden_size]);
});

test("a folder without an adapter is said so", async () => {
  await assert.rejects(readAdapter("data/tiny-gemma3"), /adapter_config\.json: there is no such file/);
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { loadLanguageModel } from "../model/load.ts";
import { perplexity, perplexityInterval, tokenWindows, wikitextPerplexity } from "./perplexity.ts";

test("cuts whole windows, each with BOS", () => {
  assert.deepEqual(tokenWindows([5, 6, 7, 8, 9], 2, 3), [
    [2, 5, 6],
    [2, 7, 8],
  ]);
  assert.deepEqual(tokenWindows([5], 2, 3), []);
});

test("takes the whole text as one, window by window", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-perplexity-"));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "wikitext2"));
  const text = " \n = A = \n \n One article . \n = B = \n \n And another one . \n";
  writeFileSync(join(folder, "wikitext2/wiki.test.raw"), text);
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const ids = model.encode(text);
  const seen = await wikitextPerplexity(model, { folder, windowTokens: 9, limit: 2 });
  const sums = await model.loglikelihoodTokens([
    [2, ...ids.slice(0, 8)],
    [2, ...ids.slice(8, 16)],
  ]);
  assert.deepEqual([seen.perplexity, seen.windows], [Math.exp(-(sums[0]! + sums[1]!) / 16), 2]);
  // Two windows say nothing of how far others would be; six end the interval at the best and the worst of them.
  assert.deepEqual([seen.low, seen.high], [null, null]);
  const six = [0, 1, 2, 3, 4, 5].map((at) => [2, ...ids.slice(at, at + 5)]);
  const of = (await model.loglikelihoodTokens(six)).map((sum) => Math.exp(-sum / 5));
  const { low, high } = await perplexityInterval(model, six);
  assert.ok(Math.abs(low! / Math.min(...of) - 1) < 1e-9 && Math.abs(high! / Math.max(...of) - 1) < 1e-9);
  assert.equal((await wikitextPerplexity(model, { folder, windowTokens: 9 })).windows, Math.floor(ids.length / 8));
  for (const [options, message] of [
    [{ limit: 0 }, /^invalid limit: 0; choose an integer of at least 1$/],
    [{ windowTokens: 1 }, /^invalid windowTokens: 1; choose an integer of at least 2$/],
    [{ windowTokens: 4096 }, /^no perplexity of nothing: 0 windows; give at least one/],
  ] as const) {
    await assert.rejects(wikitextPerplexity(model, { folder, ...options }), { name: "PrunelabError", message });
  }
  await assert.rejects(perplexity(model, [[2, 5], [2]]), { message: /^no perplexity of a window of 1 tokens: 1; / });
  await model.release();
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { loadLanguageModel } from "../model/load.ts";
import { perplexity } from "./perplexity.ts";
import { tokenWindows, wikitextPerplexity } from "./wikitext-perplexity.ts";

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
  // Of two windows, a resample is of one alone often enough to end the interval.
  const [best, worst] = sums.map((sum) => Math.exp(-sum / 8)).sort((a, b) => a - b) as [number, number];
  assert.ok(Math.abs(seen.low / best - 1) < 1e-9 && Math.abs(seen.high / worst - 1) < 1e-9);
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

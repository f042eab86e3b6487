import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { modelFile, shared, skipWithoutModel, skipWithoutShared, tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { loadLanguageModel } from "../model/load.ts";
import { perplexity, perplexityInterval } from "./perplexity.ts";

test("token windows score as their text does", async () => {
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const ids = [2, 72, 295, 437, 414];
  // transformers' log-probabilities of these tokens: src/model/score.test.ts
  const expected = -11.51847 - 7.29307 - 12.04318 - 11.0555;
  const [sum, first] = await model.loglikelihoodTokens([ids, ids.slice(0, 2)]);
  assert.ok(Math.abs(sum! - expected) < 1e-3);
  assert.ok(Math.abs(first! + 11.51847) < 1e-3);
  const value = await perplexity(model, [ids, ids.slice(0, 2)]);
  assert.ok(Math.abs(value / Math.exp((-expected + 11.51847) / 5) - 1) < 1e-3);
  await model.release();
});

test("the mean is over all tokens after each window's first, also in windows of different lengths", async () => {
  const model = { loglikelihoodTokens: async () => [-6, -1] } as unknown as LanguageModel;
  assert.equal(
    await perplexity(model, [
      [2, 5, 6, 7],
      [2, 5],
    ]),
    Math.exp(7 / 4),
  );
  const {
    low,
    high,
    perplexity: value,
  } = await perplexityInterval(model, [
    [2, 5, 6],
    [2, 5, 6],
  ]);
  assert.deepEqual([value, low, high], [Math.exp(7 / 4), null, null]);
});

test("the real model scores a text as transformers does", {
  skip: skipWithoutShared || skipWithoutModel,
}, async () => {
  const reference = JSON.parse(readFileSync(join(shared!, "reference", "logits.json"), "utf8"));
  const { ids, textLogLikelihood } = reference.base.logits[0];
  const model = await loadLanguageModel(await openCheckpointFile(modelFile!));
  const [sum] = await model.loglikelihoodTokens([ids]);
  assert.ok(Math.abs(sum! - textLogLikelihood) < 5e-5 * ids.length + 1e-3);
  await model.release();
});

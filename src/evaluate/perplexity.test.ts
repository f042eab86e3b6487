import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { modelFile, shared, skipWithoutModel, skipWithoutShared, tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { loadLanguageModel } from "../model/load.ts";
import { perplexity } from "./perplexity.ts";

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

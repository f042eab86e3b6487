import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { modelFile, shared, skipWithoutModel, skipWithoutShared } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { openScorer, releaseScorer, scoreTrees } from "./score.ts";
import { TreeBuilder } from "./token-tree.ts";
import { weightsFolder } from "./weights.ts";

interface Case {
  readonly case: string;
  readonly ids: number[];
  readonly topIds: number[];
  readonly topLogits: number[];
  readonly logNormalizer: number;
  readonly textLogLikelihood: number;
}

test("the real model's logits and texts are transformers', past the 512-token window too", {
  skip: skipWithoutShared || skipWithoutModel,
}, async () => {
  const reference = JSON.parse(readFileSync(join(shared!, "reference", "logits.json"), "utf8"));
  const checkpoint = await openCheckpointFile(modelFile!);
  const scorer = await openScorer(checkpoint.config, { folder: await weightsFolder(checkpoint) });
  for (const { case: name, ids, topIds, topLogits, logNormalizer, textLogLikelihood } of reference.base
    .logits as Case[]) {
    const tree = new TreeBuilder();
    tree.add({ tokens: ids, start: 1 }, -1);
    topIds.forEach((id, request) => {
      tree.add({ tokens: [...ids, id], start: ids.length }, request);
    });
    const [scores = []] = await scoreTrees(scorer, [tree]);
    tree.targets.forEach(({ request }, i) => {
      if (request < 0) return;
      const logit = scores[i]!.logprob + logNormalizer;
      assert.ok(Math.abs(logit - topLogits[request]!) < 1e-3, `${name}: logit ${logit}, not ${topLogits[request]}`);
    });
    const sum = scores.reduce((total, { logprob }, i) => total + (tree.targets[i]!.request < 0 ? logprob : 0), 0);
    // torch's float32 log_softmax adds 262,144 terms with an error of its own: it is 2 to 4e-5 too high for each token against the same logits
    // in float64, which ours equal to 1e-4 over 300 tokens.
    const tolerance = 5e-5 * ids.length;
    assert.ok(Math.abs(sum - textLogLikelihood) < tolerance, `${name}: text ${sum}, not ${textLogLikelihood}`);
  }
  await releaseScorer(scorer);
});

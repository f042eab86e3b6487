import assert from "node:assert/strict";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { type Feeds, openSession, type Session } from "../onnx/session.ts";
import { generateGreedily } from "./generate.ts";
import { buildGraph } from "./graphs.ts";
import { openScorer, releaseScorer, scoreTrees } from "./score.ts";
import { TreeBuilder } from "./token-tree.ts";
import { weightsFolder } from "./weights.ts";

test("sliding layers keep no more than their window and a little, others all, and the text is what scoring finds likeliest", async () => {
  const checkpoint = await openCheckpointFile(tinyModel);
  const { config } = checkpoint;
  const folder = await weightsFolder(checkpoint);
  const session = await openSession(buildGraph(config, "generate"), { folder });
  // Read in pieces of 512 tokens.
  const long = Array.from({ length: 1300 }, (_, i) => 3 + ((i * 37) % 500));
  const prompts = [long, long.slice(0, 700)];
  const pasts: Record<string, number[]> = { sliding_attention: [], full_attention: [] };
  const run = (feeds: Feeds) => {
    for (const [layer, type] of config.layer_types.entries()) {
      pasts[type]!.push(feeds[`past_key_values.${layer}.value`]!.dims[2]!);
    }
    return session.run(feeds);
  };
  const options = { maxNewTokens: 40, isDone: () => false };
  const written = await generateGreedily({ run } as unknown as Session, config, prompts, options);
  await session.release();
  assert.equal(Math.max(...pasts.full_attention!), 1338);
  assert.ok(
    Math.max(...pasts.sliding_attention!) < 2 * config.sliding_window!,
    `${Math.max(...pasts.sliding_attention!)}`,
  );

  const scorer = await openScorer(config, { folder });
  for (const [text, prompt] of prompts.entries()) {
    const tree = new TreeBuilder();
    tree.add({ tokens: [...prompt, ...written[text]!], start: prompt.length }, 0);
    const [scores] = await scoreTrees(scorer, [tree]);
    assert.deepEqual(
      scores!.map(({ isGreedy }) => isGreedy),
      new Array(40).fill(true),
    );
  }
  await releaseScorer(scorer);
});

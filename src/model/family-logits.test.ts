import assert from "node:assert/strict";
import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { expectedModels, randomModel } from "../checkpoint/random-model.test-helper.ts";
import { embeddingName } from "../checkpoint/tensor-names.ts";
import { writeCheckpoint } from "../checkpoint/write.ts";
import { exportModel } from "../export/export-model.ts";
import { float32, int64, openSession } from "../onnx/session.ts";
import { generateGreedily } from "./generate.ts";
import { buildGraph } from "./graphs.ts";
import { advance, embedWindows, openBlock, readBlock } from "./run-block.ts";
import { openScorer, releaseScorer, scoreTrees } from "./score.ts";
import { TreeBuilder } from "./token-tree.ts";
import { weightsFolder } from "./weights.ts";

const tolerance = 1e-4;

/** The largest difference of two lists of one length. */
function worst(seen: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(seen.length, expected.length);
  return Math.max(...Array.from(seen, (value, i) => Math.abs(value - expected[i]!)));
}

for (const [name, { prompts, lastLogits, logprobs, greedy }] of Object.entries(expectedModels)) {
  test(`${name}: logits, texts and scores are transformers', past the window and with left padding`, async () => {
    const checkpoint = await randomModel(name);
    const { config } = checkpoint;
    const folder = await weightsFolder(checkpoint);

    const generator = await openSession(buildGraph(config, "generate"), { folder });
    const width = Math.max(...prompts.map(({ length }) => length));
    const padded = (fill: number, value: (id: number, index: number) => number) =>
      int64(
        prompts.flatMap((ids) => [...new Array(width - ids.length).fill(fill), ...ids.map(value)]),
        [prompts.length, width],
      );
    const empty = float32(new Float32Array(0), [prompts.length, config.num_key_value_heads, 0, config.head_dim]);
    const past = config.layer_types.flatMap((_, n) => [`${n}.key`, `${n}.value`]);
    const { logits } = await generator.run({
      ...Object.fromEntries(past.map((key) => [`past_key_values.${key}`, empty])),
      input_ids: padded(0, (id) => id),
      attention_mask: padded(0, () => 1),
      position_ids: padded(0, (_, index) => index),
      num_logits_to_keep: int64([1], []),
    });
    const off = worst(logits!.data as Float32Array, lastLogits.flat());
    assert.ok(off < tolerance, `logits differ by ${off}`);

    const written = await generateGreedily(generator, config, prompts, {
      maxNewTokens: greedy[0]!.length,
      isDone: () => false,
    });
    assert.deepEqual(written, greedy);
    await generator.release();

    const scorer = await openScorer(config, { folder });
    const trees = prompts.map((tokens) => {
      const tree = new TreeBuilder();
      tree.add({ tokens, start: 1 }, 0);
      return tree;
    });
    for (const [row, scores] of (await scoreTrees(scorer, trees)).entries()) {
      const seen = scores.map(({ logprob }) => logprob);
      assert.ok(worst(seen, logprobs[row]!) < tolerance, `log-probabilities differ by ${worst(seen, logprobs[row]!)}`);
    }

    // What calibration runs on, a block at a time.
    const [window = []] = prompts;
    const hidden = await embedWindows(checkpoint, [window]);
    const block = openBlock(config, ["hidden_out"]);
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      await advance(block, layer, await readBlock(checkpoint, layer), hidden);
    }
    await block.release();
    const last = hidden.data.subarray(-config.hidden_size);
    const answers = await scorer.head.run({
      hidden: float32(last, [1, config.hidden_size]),
      targets: int64(Array.from({ length: config.vocab_size }, (_, token) => [0, token]).flat(), [
        config.vocab_size,
        2,
      ]),
    });
    const [expected = []] = lastLogits;
    const normalizer = Math.log(expected.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const offAtBlocks = worst(
      answers.logprobs!.data as Float32Array,
      expected.map((logit) => logit - normalizer),
    );
    assert.ok(offAtBlocks < tolerance, `block by block, log-probabilities differ by ${offAtBlocks}`);
    await releaseScorer(scorer);
  });
}

test("each family is written and opened again as it was, and exported", async () => {
  for (const name of Object.keys(expectedModels)) {
    const checkpoint = await randomModel(name);
    const folder = await mkdtemp(join(tmpdir(), "prunelab-family-"));
    await writeCheckpoint(checkpoint, folder);
    const again = await openCheckpointFile(folder, { name });
    assert.deepEqual(again.config, checkpoint.config);
    assert.deepEqual([...again.tensors.values()], [...checkpoint.tensors.values()]);
    const tensor = checkpoint.config.tie_word_embeddings ? embeddingName : "lm_head.weight";
    assert.deepEqual((await again.read(tensor)).data, (await checkpoint.read(tensor)).data);
    await exportModel(checkpoint, folder);
    assert.deepEqual((await readdir(join(folder, "onnx"))).sort(), ["model.onnx", "model.onnx_data"]);
  }
});

import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import type { ScoredSequence } from "./encode.ts";
import { computePrefix, openScorer, type Scorer, scoreTrees, type TokenScore } from "./score.ts";
import { packSequences, TreeBuilder } from "./token-tree.ts";
import { weightsFolder } from "./weights.ts";

// transformers 5.23, float32, log_softmax in float64, on data/tiny-gemma3: 40 tokens, five windows of 8.
const ids = [
  2, 72, 295, 437, 414, 395, 36, 134, 64, 257, 393, 234, 245, 337, 198, 407, 111, 52, 253, 18, 461, 431, 203, 225, 315,
  394, 396, 5, 360, 232, 140, 373, 414, 121, 306, 487, 56, 465, 166, 19,
];
const logprobs = [
  -11.51847, -7.29307, -12.04318, -11.0555, -13.47351, -13.79506, -8.54343, -9.45574, -9.28679, -9.35501, -9.36311,
  -11.18138, -12.68575, -9.8808, -6.44304, -11.74528, -8.47326, -6.36706, -8.9226, -8.03904, -11.95739, -9.4705,
  -8.92432, -10.09938, -10.80199, -8.67627, -9.24736, -7.88111, -8.87663, -7.56045, -8.23061, -11.12771, -15.15669,
  -10.86729, -7.27823, -7.17108, -6.77519, -13.48351, -13.40576,
];
const greedy = [
  403, 72, 295, 172, 414, 395, 12, 61, 64, 33, 474, 175, 175, 107, 12, 407, 111, 52, 253, 18, 92, 431, 203, 111, 286,
  394, 396, 5, 360, 363, 55, 451, 414, 495, 465, 487, 27, 465, 207,
];

let checkpoint: Checkpoint;
let scorer: Scorer;
before(async () => {
  checkpoint = await openCheckpointFile(tinyModel);
  scorer = await openScorer(checkpoint.config, { folder: await weightsFolder(checkpoint) });
});

async function scoreAlone(sequence: ScoredSequence): Promise<TokenScore[]> {
  const tree = new TreeBuilder();
  tree.add(sequence, 0);
  return (await scoreTrees(scorer, [tree]))[0]!;
}

function assertClose(seen: readonly TokenScore[], expected: readonly number[]): void {
  assert.equal(seen.length, expected.length);
  seen.forEach(({ logprob }, i) => {
    assert.ok(Math.abs(logprob - expected[i]!) < 1e-4, `token ${i}: ${logprob}, expected ${expected[i]}`);
  });
}

test("log-probabilities and greedy choices are transformers', past the sliding window too", async () => {
  assertClose(await scoreAlone({ tokens: ids, start: 1 }), logprobs);
  const choices = greedy.map((token, i) => ({ tokens: [...ids.slice(0, i + 1), token], start: i + 1 }));
  const tree = new TreeBuilder();
  for (const [request, choice] of choices.entries()) tree.add(choice, request);
  const [scores = []] = await scoreTrees(scorer, [tree]);
  assert.equal(scores.length, greedy.length);
  assert.ok(scores.every(({ isGreedy }) => isGreedy));
  const text = await scoreAlone({ tokens: ids, start: 1 });
  assert.deepEqual(
    text.map(({ isGreedy }) => isGreedy),
    ids.slice(1).map((id, i) => id === greedy[i]),
  );
});

test("a prefix computed once gives the same as the whole", async () => {
  for (const skipped of [1, 7, 8, 20]) {
    const prefix = await computePrefix(scorer, ids.slice(0, skipped));
    const tree = new TreeBuilder(skipped);
    tree.add({ tokens: ids, start: skipped + 1 }, 0);
    assertClose((await scoreTrees(scorer, [tree], prefix))[0]!, logprobs.slice(skipped));
  }
});

test("a text longer than one forward takes is scored in pieces over the cache", async () => {
  // 1,300 tokens: three times through the blocks, seven times through the head, and a sliding cache that is trimmed on the way.
  const tokens = Array.from({ length: 1300 }, (_, i) => (i === 0 ? 2 : 4 + ((i * 7919) % 500)));
  const whole = await scoreAlone({ tokens, start: 1 });
  const end = await scoreAlone({ tokens, start: 1290 });
  assertClose(
    end,
    whole.slice(1289).map(({ logprob }) => logprob),
  );
});

test("in a pack of several trees, requests score as they do alone", async () => {
  const sequences = Array.from({ length: 7 }, (_, i): ScoredSequence => {
    const tokens = [2, ...Array.from({ length: 150 + i }, (_, at) => 4 + ((at * (i + 3)) % 500))];
    return { tokens, start: tokens.length - 1 };
  });
  const [pack, ...others] = packSequences(sequences, 0);
  assert.deepEqual(others, []);
  assert.equal(pack!.trees.length, 7);
  const scores = await scoreTrees(scorer, pack!.trees);
  for (const [i, own] of scores.entries()) {
    assertClose(
      own,
      (await scoreAlone(sequences[i]!)).map(({ logprob }) => logprob),
    );
  }
});

test("packed together, requests score as they do alone", async () => {
  const sequence = fc
    .record({
      context: fc.array(fc.integer({ min: 4, max: 9 }), { maxLength: 25 }),
      ending: fc.array(fc.integer({ min: 4, max: 9 }), { minLength: 1, maxLength: 6 }),
    })
    .map(({ context, ending }): ScoredSequence => ({ tokens: [2, ...context, ...ending], start: context.length + 1 }));
  await fc.assert(
    fc.asyncProperty(fc.array(sequence, { minLength: 1, maxLength: 6 }), async (sequences) => {
      for (const { requests, trees } of packSequences(sequences, 0)) {
        const scores = (await scoreTrees(scorer, trees)).flat();
        const targets = trees.flatMap((tree) => tree.targets);
        for (const request of requests) {
          const own = scores.filter((_, i) => targets[i]!.request === request);
          assertClose(
            own,
            (await scoreAlone(sequences[request]!)).map(({ logprob }) => logprob),
          );
        }
      }
    }),
    { numRuns: 30 },
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ScoredSequence } from "./encode.ts";
import { packSequences, sharedPrefixLength, type TokenTree, TreeBuilder } from "./token-tree.ts";

/** The tokens from the root to a node. */
function pathTo(tree: TokenTree, node: number): number[] {
  const path: number[] = [];
  for (let at = node; at >= 0; at = tree.parents[at]!) path.unshift(tree.tokens[at]!);
  return path;
}

const sequence: fc.Arbitrary<ScoredSequence> = fc
  .record({ tokens: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 2, maxLength: 12 }), cut: fc.nat() })
  .map(({ tokens, cut }) => ({ tokens, start: 1 + (cut % (tokens.length - 1)) }));

test("a context is one trunk for all its endings, and a choice may be a prefix of another", () => {
  const tree = new TreeBuilder();
  tree.add({ tokens: [2, 5, 6, 7, 8], start: 3 }, 0);
  tree.add({ tokens: [2, 5, 6, 7], start: 3 }, 1);
  tree.add({ tokens: [2, 5, 6, 9, 8], start: 3 }, 2);
  assert.deepEqual(tree.tokens, [2, 5, 6, 7, 9]);
  assert.deepEqual(tree.parents, [-1, 0, 1, 2, 2]);
  assert.deepEqual(tree.depths, [0, 1, 2, 3, 3]);
  assert.equal(tree.rows, 3);
});

test("every target is asked after exactly the tokens before it, at its own position", () => {
  fc.assert(
    fc.property(fc.array(sequence, { minLength: 1, maxLength: 30 }), (sequences) => {
      const skipped = sharedPrefixLength(sequences);
      const packs = packSequences(sequences, skipped);
      assert.deepEqual(
        packs.flatMap(({ requests }) => requests),
        sequences.map((_, index) => index),
      );
      for (const { requests, trees } of packs) {
        for (const request of requests) {
          const { tokens, start } = sequences[request]!;
          // All of a request's targets are in one tree.
          const tree = trees.find(({ targets }) => targets.some((target) => target.request === request))!;
          const targets = tree.targets.filter((target) => target.request === request);
          assert.deepEqual(
            targets.map(({ token }) => token),
            tokens.slice(start),
          );
          targets.forEach(({ node }, i) => {
            assert.equal(tree.depths[node], start - 1 + i);
            assert.deepEqual(pathTo(tree, node), tokens.slice(skipped, start + i));
          });
        }
        for (const { parents } of trees) assert.ok(parents.every((parent, node) => parent < node));
      }
    }),
  );
});

test("a pack takes trees until the head has enough rows, and a long text is a tree of its own", () => {
  const text = (number: number, length: number): ScoredSequence => ({
    tokens: [2, ...new Array(length - 1).fill(number), 1, 1],
    start: length + 1,
  });
  // Two of 100 tokens make a tree, one of 300 its own.
  const sequences = [...Array.from({ length: 40 }, (_, i) => text(10 + i, 100)), text(60, 300), text(61, 300)];
  const packs = packSequences(sequences, 0);
  assert.deepEqual(
    packs.map(({ trees }) => trees.map(({ tokens }) => tokens.length)),
    [new Array(8).fill(201), new Array(8).fill(201), [201, 201, 201, 201, 301, 301]],
  );
});

test("packs depend on the requests before them alone, so that a resumed or longer run meets the same ones", () => {
  fc.assert(
    fc.property(fc.array(sequence, { minLength: 2, maxLength: 200 }), fc.nat(), (sequences, cut) => {
      const all = packSequences(sequences, 0);
      const some = packSequences(sequences.slice(0, 1 + (cut % sequences.length)), 0);
      for (const pack of some.slice(0, -2)) assert.deepEqual(all[some.indexOf(pack)]!.requests, pack.requests);
    }),
  );
});

test("the shared prefix never reaches a scored row", () => {
  assert.equal(
    sharedPrefixLength([
      { tokens: [2, 5, 6, 7], start: 3 },
      { tokens: [2, 5, 6, 8], start: 3 },
    ]),
    2,
  );
  assert.equal(sharedPrefixLength([{ tokens: [2, 5], start: 1 }]), 0);
  assert.equal(sharedPrefixLength([]), 0);
});

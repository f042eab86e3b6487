import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mergesFromScores } from "./bpe-merges.ts";

test("orders by score, then by the longer left piece", () => {
  const tokens = ["a", "b", "ab", "ba", "aba", "abab"];
  assert.deepEqual(mergesFromScores(tokens, [-9, -9, -3, -2, -4, -1]), [
    ["aba", "b"],
    ["ab", "ab"],
    ["b", "a"],
    ["a", "b"],
    ["ab", "a"],
    ["a", "ba"],
  ]);
});

test("tokens of one score are ordered by their pieces' lengths in code points, then by id", () => {
  // Two code points each, three UTF-16 units in one: counted in units, "😀b" would come before "ab".
  const tokens = ["a", "b", "😀", "ab", "😀b", "aab", "aa"];
  assert.deepEqual(
    mergesFromScores(
      tokens,
      tokens.map(() => 0),
    ),
    [
      ["aa", "b"],
      ["a", "ab"],
      ["a", "b"],
      ["😀", "b"],
      ["a", "a"],
    ],
  );
});

test("never splits inside a code point, and makes no token without a score", () => {
  const halves = ["\ud83d", "\ude00", "😀", "😀😀"];
  assert.deepEqual(mergesFromScores(halves, [0, 0, 0, 0]), [["😀", "😀"]]);
  assert.deepEqual(mergesFromScores(["a", "aa", "aaa"], [0, undefined, 0]), [
    ["aa", "a"],
    ["a", "aa"],
  ]);
});

test("agrees with the definition on any vocabulary", () => {
  const entry = fc.tuple(
    fc.string({ unit: fc.constantFrom("a", "b", "😀"), minLength: 1, maxLength: 5 }),
    fc.integer({ min: -3, max: 0 }),
  );
  fc.assert(
    fc.property(fc.uniqueArray(entry, { selector: ([token]) => token, maxLength: 40 }), (entries) => {
      const scores = new Map(entries);
      const length = (text: string) => [...text].length;
      const expected = entries
        .flatMap(([token]) =>
          [...token].slice(1).map((_, at) => [[...token].slice(0, at + 1).join(""), [...token].slice(at + 1).join("")]),
        )
        .filter(([left, right]) => scores.has(left!) && scores.has(right!))
        .map(([left, right]) => [left!, right!] as [string, string])
        .sort(
          ([al, ar], [bl, br]) =>
            scores.get(bl + br)! - scores.get(al + ar)! || length(bl) - length(al) || length(br) - length(ar),
        );
      const merges = mergesFromScores(
        entries.map(([token]) => token),
        entries.map(([, score]) => score),
      );
      assert.deepEqual(merges, expected);
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultMasks, diffOutputs, masked, parseMask } from "./diff-outputs.ts";
import type { Output } from "./notebook.ts";

const stream = (text: string): Output[] => [{ output_type: "stream", name: "stdout", text }];
const data = (data: Record<string, unknown>): Output[] => [{ output_type: "display_data", data, metadata: {} }];

test("a difference is shown by lines, with the kind of output around it", () => {
  const diff = diffOutputs(stream("a\nb\nc\n"), stream("a\nx\nc\n"), defaultMasks);
  assert.equal(diff, "--- saved\n+++ now\n@@ -1,4 +1,4 @@\n [stdout]\n a\n-b\n+x\n c\n");
  assert.equal(diffOutputs(stream("a"), stream("a"), defaultMasks), "");
  assert.match(diffOutputs(stream("a"), [], defaultMasks), /-\[stdout\]\n-a/);
  assert.match(
    diffOutputs(data({ "text/html": "<p>1</p><p>2</p>" }), data({ "text/html": "<p>1</p><p>3</p>" }), []),
    /-<p>2<\/p>\n\+<p>3<\/p>/,
  );
  assert.match(diffOutputs(data({ "image/png": "AAAA" }), data({ "image/png": "BBBB" }), []), /\(4 characters, sha256/);
  assert.match(
    diffOutputs(data({ "application/json": { a: 1 } }), data({ "application/json": { a: 2 } }), []),
    /"a": 2/,
  );
  const json = (value: unknown) => data({ "application/json": value });
  assert.equal(diffOutputs(json({ a: 1, b: { c: 1, d: 2 } }), json({ b: { d: 2, c: 1 }, a: 1 }), []), "");
  const error = (evalue: string): Output[] => [{ output_type: "error", ename: "E", evalue, traceback: [evalue] }];
  assert.match(diffOutputs(error("a"), error("b"), []), /-E: a\n\+E: b/);
});

test("what changes with every run is masked, and no other number", () => {
  for (const [text, expected] of [
    ["took 3.2 s, 12 ms and 3 min 20 s", "took <duration>, <duration> and <duration>"],
    ["at 2026-11-24T12:56:06.248Z, 2026-11-24 and 12:03:04", "at <date>, <date> and <time>"],
    ["1.08 GB of 250 MB, 12 kB, 1,234 bytes", "<size> of <size>, <size>, <size>"],
    ["160.5 GFLOP/s, 12 documents/s", "<rate>, <rate>"],
    ["run 123e4567-e89b-12d3-a456-426614174000", "run <uuid>"],
    ["in /tmp/prunelab-x1/file.txt", "in <temporary>"],
    ["clip-path='url(#clip1a2b3cxy)'", "clip-path='url(#clip<id>xy)'"],
  ] as const) {
    assert.equal(masked(text, defaultMasks), expected);
  }
  for (const text of [
    "acc 0.435 and 43.50 %",
    "n = 200",
    "[ 1, 2, 3 ]",
    "236 tensors, 268,098,176 weights",
    "3 heads, 4 means",
  ]) {
    assert.equal(masked(text, defaultMasks), text);
  }
});

test("a mask of one's own is a regular expression that finds something", () => {
  assert.equal(diffOutputs(stream("seed 1"), stream("seed 2"), [parseMask("seed \\d")]), "");
  assert.throws(() => parseMask("("), { message: /^invalid --mask; a regular expression: \(: /, exitCode: 2 });
  assert.throws(() => parseMask("x*"), /it is found in an empty text too/);
});

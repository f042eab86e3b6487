import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openAnswerCache } from "./answer-cache.ts";

const folder = mkdtempSync(join(tmpdir(), "prunelab-answers-"));
test.after(() => rmSync(folder, { recursive: true }));

test("a line that was cut off is skipped and swallows no other", async () => {
  const path = join(folder, "cut.jsonl");
  writeFileSync(path, '["a",[[-1,true]]]\n["b",[[-2,fal');
  const cache = await openAnswerCache(path, { fresh: false });
  assert.deepEqual(cache.sums.get("a"), [{ sum: -1, isGreedy: true }]);
  assert.equal(cache.sums.get("b"), undefined);
  await cache.sums.add("c", [{ sum: -3, isGreedy: false }]);
  await cache.close();
  assert.deepEqual(readFileSync(path, "utf8").split("\n").slice(1), ['["b",[[-2,fal', '["c",[[-3,false]]]', ""]);
});

test("what cannot be read or written is told in words", async () => {
  const taken = join(folder, "folder.jsonl");
  mkdirSync(taken);
  await assert.rejects(openAnswerCache(taken, { fresh: false }), {
    name: "PrunelabError",
    message: `cannot read ${taken}: it is a folder; check the path`,
  });
  writeFileSync(join(folder, "file"), "");
  const inside = join(folder, "file", "answers.jsonl");
  await assert.rejects(openAnswerCache(inside, { fresh: false }), { name: "PrunelabError", message: /^cannot read / });
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";

test("a folder with something in it is refused in one sentence, and left as it is", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-new-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "full"));
  writeFileSync(join(folder, "full", "mine.txt"), "mine");
  const command = resolve("dist/scripts/cli/prunelab.js");
  for (const [args, code, expected] of [
    [["full"], 1, /^prunelab: folder is not empty: full; name a new or an empty one\n$/],
    [
      ["full/mine.txt"],
      1,
      /^prunelab: cannot make folder full\/mine\.txt: a file is in the way; choose another name\n$/,
    ],
    [
      ["full/mine.txt/x"],
      1,
      /^prunelab: cannot make folder full\/mine\.txt\/x: a file is in the way; choose another name\n$/,
    ],
    [[], 1, /^prunelab: which folder\?/],
    [["a", "b"], 1, /^prunelab: which folder\?/],
    [["--nonsense"], 2, /unknown option/],
  ] as const) {
    const found = spawnSync(process.execPath, [command, "new", ...args], { cwd: folder, encoding: "utf8" });
    assert.deepEqual([found.status, found.stdout], [code, ""], found.stderr);
    assert.match(found.stderr, expected);
  }
  assert.deepEqual(readdirSync(folder), ["full"]);
  assert.deepEqual(readdirSync(join(folder, "full")), ["mine.txt"]);
});

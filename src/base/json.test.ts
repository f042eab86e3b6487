import assert from "node:assert/strict";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { parseJsonObject, readJsonObject } from "./json.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-json-"));
test.after(() => rm(folder, { recursive: true }));

function says(pattern: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof PrunelabError && pattern.test(error.message);
}

test("reads an object", async () => {
  await writeFile(join(folder, "good.json"), '{"a": [1]}');
  assert.deepEqual(await readJsonObject(join(folder, "good.json")), { a: [1] });
});

test("tells what is wrong: missing, folder, cut off, no object, too large", async () => {
  await assert.rejects(readJsonObject(join(folder, "none.json")), says(/none\.json: there is no such file/));
  await assert.rejects(readJsonObject(folder), says(/cannot read/));
  await writeFile(join(folder, "cut.json"), '{"a": [1');
  await assert.rejects(readJsonObject(join(folder, "cut.json")), says(/not valid JSON: .*cut\.json/));
  for (const text of ["[]", "null", "3", '"x"'])
    assert.throws(() => parseJsonObject(text, "x"), says(/not a JSON object: x/));
  await writeFile(join(folder, "large.json"), "");
  await truncate(join(folder, "large.json"), 2 ** 30);
  await assert.rejects(readJsonObject(join(folder, "large.json")), says(/too large for JSON: .*1,073,741,824 bytes/));
});

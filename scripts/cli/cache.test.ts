import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PrunelabError } from "../../src/errors.ts";
import { cache } from "./cache.ts";
import { runCommand, UsageError } from "./command.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-cache-command-"));
process.env.PRUNELAB_CACHE = folder;
test.after(() => rm(folder, { recursive: true }));

const runCache = (args: string[]) => runCommand("cache", cache, args);

/** What the command prints. */
async function output(t: test.TestContext, ...args: string[]): Promise<string> {
  const log = t.mock.method(console, "log", () => {});
  await runCache(args);
  log.mock.restore();
  return log.mock.calls.map(({ arguments: [line] }) => line).join("\n");
}

test("lists with sizes and a total, clears by name and by kind", async (t) => {
  assert.equal(await output(t), `nothing is cached in ${folder}`);
  await mkdir(join(folder, "models", "google--gemma-3-270m"), { recursive: true });
  await writeFile(join(folder, "models", "google--gemma-3-270m", "weights"), Buffer.alloc(2_500_000));
  await mkdir(join(folder, "answers"));
  await writeFile(join(folder, "answers", "a.jsonl"), "x".repeat(1500));
  await writeFile(join(folder, "answers", "b.jsonl"), "x".repeat(500));
  const listed = await output(t, "list");
  assert.match(listed, /^models {3}google\/gemma-3-270m {2}2\.5 MB {2}\d{4}-\d\d-\d\d \d\d:\d\d$/m);
  assert.match(listed, /^answers {2}a\.jsonl +1\.5 kB {2}/m);
  assert.match(listed, /^total +2\.5 MB$/m);

  await assert.rejects(
    runCache(["clear", "a.jsonl", "c.jsonl"]),
    /not in the cache: c\.jsonl; prunelab cache lists what is/,
  );
  assert.equal(await output(t, "clear", "a.jsonl"), "cleared 1 entry, 1.5 kB");
  assert.equal(await output(t, "clear", "answers", "google/gemma-3-270m"), "cleared 2 entries, 2.5 MB");
  assert.match(await output(t), /nothing is cached/);
});

test("as JSON for another program", async (t) => {
  await mkdir(join(folder, "answers"), { recursive: true });
  await writeFile(join(folder, "answers", "j.jsonl"), "x".repeat(20));
  const [entry] = JSON.parse(await output(t, "--json"));
  assert.deepEqual([entry.kind, entry.name, entry.bytes], ["answers", "j.jsonl", 20]);
});

test("tells its usage, and refuses what it does not know", async (t) => {
  assert.match(await output(t, "--help"), /^usage: prunelab cache/);
  await assert.rejects(runCache(["clean"]), PrunelabError);
  await assert.rejects(runCache(["list", "x"]), PrunelabError);
  await assert.rejects(runCache(["--nonsense"]), UsageError);
});

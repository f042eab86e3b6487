import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { cacheEntries, cacheFolder, cachePath, clearCache, labelEntry } from "./cache-folder.ts";
import { withLock } from "./lock.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-cache-"));
test.after(() => rm(folder, { recursive: true }));

const environment = { ...process.env };
test.beforeEach(() => {
  process.env.PRUNELAB_CACHE = join(folder, "cache");
});
test.afterEach(() => {
  process.env = { ...environment };
});

async function fill(path: string, text: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, text);
}

test("PRUNELAB_CACHE comes first, then the platform's folder", {
  skip: process.platform !== "linux" && "XDG's rules",
}, () => {
  assert.equal(cacheFolder("models"), join(folder, "cache", "models"));
  process.env.PRUNELAB_CACHE = "relative/cache";
  assert.equal(cacheFolder(), resolve("relative/cache"));
  process.env.PRUNELAB_CACHE = "";
  process.env.XDG_CACHE_HOME = "/xdg";
  assert.equal(cacheFolder("answers"), "/xdg/prunelab/answers");
  process.env.XDG_CACHE_HOME = "not/absolute";
  assert.equal(cacheFolder(), join(homedir(), ".cache", "prunelab"));
  delete process.env.XDG_CACHE_HOME;
  assert.equal(cacheFolder(), join(homedir(), ".cache", "prunelab"));
});

test("lists and clears entries", async () => {
  assert.deepEqual(await cacheEntries(), []);
  assert.deepEqual(await clearCache(), []);
  const model = cachePath("models", "google/gemma-3-270m");
  await fill(join(model, "abc", "config.json"), "12345");
  await fill(join(model, "abc", "deep", "model.safetensors.partial"), "1234567");
  await fill(join(cacheFolder("tokenizers"), "x.json"), "123");
  await fill(join(cacheFolder(), "stray"), "not ours");
  const used = new Date("2026-01-02T03:04:05Z");
  await utimes(join(model, "abc", "config.json"), used, used);
  await utimes(join(model, "abc", "deep", "model.safetensors.partial"), new Date(1), new Date(1));
  const entries = await cacheEntries();
  assert.deepEqual(
    entries.map(({ kind, name, bytes }) => [kind, name, bytes]),
    [
      ["models", "google/gemma-3-270m", 12],
      ["tokenizers", "x.json", 3],
    ],
  );
  assert.equal(entries[0]!.path, model);
  assert.deepEqual(entries[0]!.lastUsed, used);

  const removed = await clearCache(({ kind }) => kind === "models");
  assert.deepEqual(
    removed.map(({ name }) => name),
    ["google/gemma-3-270m"],
  );
  assert.deepEqual(
    (await cacheEntries()).map(({ name }) => name),
    ["x.json"],
  );
  await clearCache();
  assert.deepEqual(await cacheEntries(), []);
});

test("entries go by what they are of, answers with their tasks", async () => {
  const answers = join(cacheFolder("answers"), "0a1b.jsonl");
  await fill(answers, "[]");
  await labelEntry(answers, "google/gemma-3-270m", ["hellaswag"]);
  await labelEntry(answers, "google/gemma-3-270m", ["arc_easy", "hellaswag"]);
  const seen = async () => (await cacheEntries()).map(({ name, tasks }) => [name, tasks]);
  assert.deepEqual(await seen(), [["google/gemma-3-270m", ["arc_easy", "hellaswag"]]]);
  await fill(join(cacheFolder(), "labels", "answers", "0a1b.jsonl.json"), "{");
  assert.deepEqual(await seen(), [["0a1b.jsonl", []]]);
  await labelEntry(answers, "other");
  await clearCache();
  await fill(answers, "[]");
  assert.deepEqual(await seen(), [["0a1b.jsonl", []]]);
  await clearCache();
});

test("clears nothing while an entry is in use", async () => {
  const used = cachePath("models", "a/used");
  await fill(join(cachePath("datasets", "a/free"), "x"), "1");
  await fill(join(used, "x"), "1");
  await withLock(used, async () => {
    await assert.rejects(
      clearCache(),
      (error: unknown) =>
        error instanceof PrunelabError && error.message.includes(`cannot clear ${used}: process ${process.pid} `),
    );
    // The lock's own file is not an entry.
    assert.deepEqual(
      (await cacheEntries()).map(({ name }) => name),
      ["a/used", "a/free"],
    );
  });
  assert.equal((await clearCache()).length, 2);
});

test("a cache that is a file is told in one sentence", async () => {
  await fill(join(folder, "file"), "");
  process.env.PRUNELAB_CACHE = join(folder, "file");
  await assert.rejects(
    cacheEntries(),
    /^PrunelabError: cannot read the cache: .*: it is a file, not a folder; set PRUNELAB_CACHE/,
  );
});

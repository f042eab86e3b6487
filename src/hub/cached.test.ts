import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { cacheEntries, cacheFolder } from "./cache-folder.ts";
import { cachedFolder, cachedJson } from "./cached.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-cached-"));
test.after(() => rm(folder, { recursive: true }));
const usual = process.env.PRUNELAB_CACHE;
test.beforeEach((context) => {
  process.env.PRUNELAB_CACHE = join(folder, context.name.replaceAll(/\W+/g, "-"));
});
test.afterEach(() => {
  if (usual === undefined) delete process.env.PRUNELAB_CACHE;
  else process.env.PRUNELAB_CACHE = usual;
});

const isText = (value: unknown): value is string => typeof value === "string";

test("a value is made once for a key, and again when its file is damaged", async () => {
  let made = 0;
  const ask = (key: readonly unknown[]) =>
    cachedJson("digests", "a/model", { key, make: async () => `value ${++made}`, isWhole: isText });
  assert.equal(await ask(["a", 1]), "value 1");
  assert.equal(await ask(["a", 1]), "value 1");
  assert.equal(await ask(["a", 2]), "value 2");
  const names = await readdir(cacheFolder("digests"));
  for (const name of names) await writeFile(join(cacheFolder("digests"), name), '"cut');
  assert.equal(await ask(["a", 1]), "value 3");
  for (const name of names) await writeFile(join(cacheFolder("digests"), name), "[1]");
  assert.equal(await ask(["a", 2]), "value 4");
  assert.deepEqual(
    (await cacheEntries()).map(({ kind, name }) => [kind, name]),
    [
      ["digests", "a/model"],
      ["digests", "a/model"],
    ],
  );
});

test("a folder is found again with what a failed run left, and the oldest ones go", async () => {
  const failing = cachedFolder("weights", "one", ["one"], async (path) => {
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "left"), "half");
    throw new Error("stopped");
  });
  await assert.rejects(failing, /stopped/);
  const one = await cachedFolder("weights", "one", ["one"], async (path) => {
    assert.equal(await readFile(join(path, "left"), "utf8"), "half");
    return path;
  });
  await utimes(one, new Date(1e9), new Date(1e9));
  const make = async (path: string) => {
    await mkdir(path, { recursive: true });
    return path;
  };
  const two = await cachedFolder("weights", "two", ["two"], make);
  const three = await cachedFolder("weights", "three", ["three"], make);
  const left = (await cacheEntries()).map(({ path, name }) => [path, name]);
  assert.deepEqual(
    new Map(left as [string, string][]),
    new Map([
      [two, "two"],
      [three, "three"],
    ]),
  );
});

test("a folder that is being written stays, however many others are finished meanwhile", async () => {
  const make = async (path: string) => {
    await mkdir(path, { recursive: true });
    return path;
  };
  const slow = await cachedFolder("weights", "slow", ["slow"], async (path) => {
    await make(path);
    await utimes(path, new Date(1e9), new Date(1e9));
    for (const name of ["one", "two", "three"]) await cachedFolder("weights", name, [name], make);
    await writeFile(join(path, "weights"), "whole");
    return path;
  });
  assert.equal(await readFile(join(slow, "weights"), "utf8"), "whole");
});

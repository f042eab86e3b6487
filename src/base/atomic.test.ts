import assert from "node:assert/strict";
import { constants } from "node:fs";
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { createFileAtomic, writeFileAtomic } from "./atomic.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-atomic-"));
test.after(() => rm(folder, { recursive: true }));

/** What the kernel really says when a disk is full. */
async function fullDiskError(): Promise<unknown> {
  const full = await open("/dev/full", "w");
  try {
    await full.writeFile("x");
  } catch (error) {
    return error;
  } finally {
    await full.close();
  }
  throw new Error("/dev/full took a byte");
}

test("makes the folder, writes, replaces, and leaves nothing else", async () => {
  const path = join(folder, "a", "b", "file.json");
  await writeFileAtomic(path, "first, and longer");
  await writeFileAtomic(path, new TextEncoder().encode("secönd"));
  assert.equal(await readFile(path, "utf8"), "secönd");
  assert.deepEqual(await readdir(join(folder, "a", "b")), ["file.json"]);
});

test("the old file stays whole until the new one is complete, and after a failure", async () => {
  const path = join(folder, "kept", "file");
  await writeFileAtomic(path, "old");
  const failure = new Error("producer failed");
  await assert.rejects(
    createFileAtomic(path, async (handle) => {
      await handle.write("half of the n");
      assert.equal(await readFile(path, "utf8"), "old");
      throw failure;
    }),
    (error) => error === failure,
  );
  assert.equal(await readFile(path, "utf8"), "old");
  assert.deepEqual(await readdir(join(folder, "kept")), ["file"]);
});

test("writers of one file do not disturb each other", async () => {
  const path = join(folder, "race", "file");
  const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
  await Promise.all(texts.map((text) => writeFileAtomic(path, text)));
  assert.ok(texts.includes(await readFile(path, "utf8")));
  assert.deepEqual(await readdir(join(folder, "race")), ["file"]);
});

test("a full disk is told in one sentence and leaves nothing", {
  skip: process.platform !== "linux" && "needs /dev/full",
}, async () => {
  const path = join(folder, "full", "file");
  const error = await fullDiskError();
  await assert.rejects(
    createFileAtomic(path, async (handle) => {
      await handle.write("some");
      throw error;
    }),
    (thrown: unknown) =>
      thrown instanceof PrunelabError &&
      thrown.message === `cannot write ${path}: the disk is full; free some space and run again` &&
      thrown.cause === error,
  );
  assert.deepEqual(await readdir(join(folder, "full")), []);
});

test("a folder that cannot be written, a file in the way, a folder in the way", async () => {
  await writeFile(join(folder, "plain"), "");
  await assert.rejects(writeFileAtomic(join(folder, "plain", "x"), ""), PrunelabError);
  await mkdir(join(folder, "folder-in-the-way"));
  await assert.rejects(writeFileAtomic(join(folder, "folder-in-the-way"), ""), PrunelabError);
  assert.equal((await readdir(folder)).filter((name) => name.endsWith(".tmp")).length, 0);
  // Root may write anywhere, so the check of permissions runs only for others.
  if (process.getuid?.() === 0) return;
  await mkdir(join(folder, "locked"));
  await chmod(join(folder, "locked"), constants.S_IRUSR | constants.S_IXUSR);
  await assert.rejects(writeFileAtomic(join(folder, "locked", "x"), ""), /permission denied/);
});

test("the handle is closed after success and after failure", { skip: process.platform !== "linux" }, async () => {
  const before = await readdir("/proc/self/fd");
  for (let i = 0; i < 10; i++) {
    await writeFileAtomic(join(folder, "handles"), "x");
    await createFileAtomic(join(folder, "handles"), () => Promise.reject(new Error("no"))).catch(() => {});
  }
  assert.ok((await readdir("/proc/self/fd")).length < before.length + 10);
});

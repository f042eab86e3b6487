import assert from "node:assert/strict";
import { appendFile, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { bufferSource, fileSource } from "./byte-source.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-bytes-"));
test.after(() => rm(folder, { recursive: true }));

async function sampleFile(name: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, Uint8Array.of(10, 11, 12, 13));
  return path;
}

test("the end is exclusive, from a file and from a buffer", async () => {
  const sources = [bufferSource(Uint8Array.of(10, 11, 12, 13)), await fileSource(await sampleFile("range"))];
  for (const source of sources) {
    assert.equal(source.byteLength, 4);
    assert.deepEqual(await source.slice(1, 3), Uint8Array.of(11, 12));
    assert.deepEqual(await source.slice(0, 4), Uint8Array.of(10, 11, 12, 13));
    assert.deepEqual(await source.slice(4, 4), new Uint8Array());
    await assert.rejects(source.slice(3, 5), /file is cut off: .*: needs 5 bytes, has 4 bytes; download it again/);
    await assert.rejects(source.slice(-1, 2), RangeError);
    await assert.rejects(source.slice(2, 1), RangeError);
    const pieces: number[][] = [];
    for await (const piece of source.pieces(1, 4, 2)) pieces.push([...piece]);
    assert.deepEqual(pieces, [[11, 12], [13]]);
    for await (const piece of source.pieces(2, 2, 2)) assert.fail(`a piece of nothing: ${piece}`);
    const first = (start: number, end: number) => source.pieces(start, end, 2)[Symbol.asyncIterator]().next();
    await assert.rejects(first(3, 5), /needs 5 bytes, has 4 bytes/);
    await assert.rejects(first(2, 1), RangeError);
  }
});

test("a range that takes several reads is whole", async () => {
  const source = await fileSource(await sampleFile("several"), 2);
  assert.deepEqual(await source.slice(0, 4), Uint8Array.of(10, 11, 12, 13));
  assert.deepEqual(await source.slice(1, 4), Uint8Array.of(11, 12, 13));
});

test("a slice has a buffer of its own", async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const slice = await bufferSource(bytes).slice(1, 3);
  slice[0] = 9;
  assert.deepEqual(bytes, Uint8Array.of(1, 2, 3));
  assert.equal(slice.byteOffset, 0);
});

test("a missing file and a folder are told plainly", async () => {
  await assert.rejects(fileSource(join(folder, "none")), (error: unknown) => {
    return error instanceof PrunelabError && /cannot read .*none: there is no such file/.test(error.message);
  });
  await assert.rejects(fileSource(folder), (error: unknown) => {
    return error instanceof PrunelabError && /it is not a regular file/.test(error.message);
  });
});

test("a file that was replaced, changed or cut is noticed", async () => {
  const replaced = await fileSource(await sampleFile("replaced"));
  await rename(await sampleFile("other"), replaced.name);
  await assert.rejects(replaced.slice(0, 1), /file has changed since it was opened/);
  const cut = await fileSource(await sampleFile("cut"));
  await writeFile(cut.name, Uint8Array.of(10));
  await assert.rejects(cut.slice(0, 4), /file has changed since it was opened/);
  const growing = await fileSource(await sampleFile("growing"));
  await assert.rejects(async () => {
    for await (const _ of growing.pieces(0, 4, 2)) await appendFile(growing.name, "more");
  }, /file has changed since it was opened/);
});

test("nothing stays open", { skip: process.platform !== "linux" && "needs /proc" }, async () => {
  const source = await fileSource(await sampleFile("open"));
  const before = (await readdir("/proc/self/fd")).length;
  await Promise.all(Array.from({ length: 50 }, () => source.slice(0, 4)));
  await source.slice(3, 5).catch(() => {});
  for await (const _ of source.pieces(0, 4, 2)) break;
  assert.ok((await readdir("/proc/self/fd")).length <= before);
});

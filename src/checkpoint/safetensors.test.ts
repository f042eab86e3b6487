import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { PrunelabError } from "../errors.ts";
import { bufferSource, fileSource } from "./byte-source.ts";
import { assertSafe, damaged } from "./corrupt.test-helper.ts";
import { readSafetensorsHeader, readSafetensorsIndex, readSafetensorsTensor, writeSafetensors } from "./safetensors.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-safetensors-"));
test.after(() => rm(folder, { recursive: true }));

/** A file as other writers make it: `header` in its own spelling, then `data`. */
function file(header: unknown, data: Uint8Array = new Uint8Array(), headerLength?: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength ?? json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

function bytesOf(...arrays: (Float32Array | Uint16Array)[]): Uint8Array {
  return new Uint8Array(Buffer.concat(arrays.map((a) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength))));
}

const three = file(
  {
    __metadata__: { format: "pt" },
    f32: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] },
    f16: { dtype: "F16", shape: [3], data_offsets: [16, 22] },
    bf16: { dtype: "BF16", shape: [], data_offsets: [22, 24] },
  },
  bytesOf(
    Float32Array.of(1, -2, 1 + 2 ** -9, 1 + 3 * 2 ** -8),
    Uint16Array.of(0x3c00, 0x0001, 0xc000),
    Uint16Array.of(0x4049),
  ),
);

async function readAll(bytes: Uint8Array): Promise<Map<string, Uint16Array>> {
  const read = new Map<string, Uint16Array>();
  for (const [name, entry] of await readSafetensorsHeader(bufferSource(bytes, "x"))) {
    read.set(name, await readSafetensorsTensor(entry));
  }
  return read;
}

async function assertRefused(bytes: Uint8Array, pattern: RegExp): Promise<void> {
  await assert.rejects(readAll(bytes), (error: unknown) => {
    assert.ok(error instanceof PrunelabError, String(error));
    assert.match(error.message, pattern);
    return true;
  });
}

test("reads float32, float16 and bfloat16 as bfloat16, rounded to nearest even", async () => {
  const tensors = await readAll(three);
  assert.deepEqual(tensors.get("f32"), Uint16Array.of(0x3f80, 0xc000, 0x3f80, 0x3f82));
  assert.deepEqual(tensors.get("f16"), Uint16Array.of(0x3f80, 0x3380, 0xc000));
  assert.deepEqual(tensors.get("bf16"), Uint16Array.of(0x4049));
});

test("a float32 tensor of several chunks is read whole", async () => {
  const values = Float32Array.from({ length: 2 ** 22 + 5 }, (_, i) => i % 251);
  const header = { x: { dtype: "F32", shape: [values.length], data_offsets: [0, values.byteLength] } };
  const read = (await readAll(file(header, bytesOf(values)))).get("x")!;
  assert.equal(read.length, values.length);
  // Whole numbers below 256 are exact in bfloat16: the float32 bits without their lower half.
  const bits = new Uint32Array(values.buffer);
  assert.ok(read.every((x, i) => x === bits[i]! >>> 16));
});

test("refuses what is cut off or not a safetensors file", async () => {
  await assertRefused(three.subarray(0, 5), /safetensors file is cut off: x: needs 8 bytes, has 5 bytes; download it/);
  await assertRefused(three.subarray(0, 100), /safetensors file is cut off: x: needs \d+ bytes, has 100 bytes/);
  await assertRefused(three.subarray(0, three.length - 1), /safetensors file is cut off/);
  await assertRefused(file("nonsense"), /not valid JSON: safetensors header of x/);
  await assertRefused(file([]), /not a JSON object/);
});

test("refuses absurd sizes without allocating them", async () => {
  await assertRefused(file({}, undefined, 2 ** 52), /claims 4,503,599,627,370,496 bytes, more than the format allows/);
  await assertRefused(file({}, undefined, 90_000_000), /cut off: x: needs 90,000,008 bytes/);
  const huge = 2 ** 50;
  await assertRefused(file({ a: { dtype: "F32", shape: [huge], data_offsets: [0, 4 * huge] } }), /cut off/);
  await assertRefused(file({ a: { dtype: "F32", shape: [huge, huge, 0], data_offsets: [0, 8] } }), /does not fit/);
});

test("refuses overlaps, gaps and sizes that do not fit", async () => {
  const entry = (start: number, end: number, length: number) => ({
    dtype: "BF16",
    shape: [length],
    data_offsets: [start, end],
  });
  const data = new Uint8Array(8);
  await assertRefused(file({ a: entry(0, 4, 2), b: entry(2, 8, 3) }, data), /lets b overlap/);
  await assertRefused(file({ a: entry(0, 4, 2), b: entry(0, 8, 4) }, data), /lets b overlap/);
  await assertRefused(file({ a: entry(0, 2, 1), b: entry(4, 8, 2) }, data), /leaves a gap before b/);
  await assertRefused(file({ a: entry(2, 8, 3) }, data), /leaves a gap before a/);
  await assertRefused(file({ a: entry(0, 4, 2) }, data), /accounts for/);
  await assertRefused(file({ a: entry(0, 8, 3) }, data), /does not fit BF16\[3\]/);
  await assertRefused(file({ a: entry(8, 0, 0) }, data), /does not fit/);
  await assertRefused(file({ a: entry(0, 12, 6) }, data), /cut off/);
});

test("refuses malformed entries, unknown and unsupported dtypes", async () => {
  await assertRefused(file({ a: null }), /no dtype, shape and data_offsets for a/);
  await assertRefused(file({ a: { dtype: "F32", shape: [-1], data_offsets: [0, 0] } }), /no dtype, shape/);
  await assertRefused(file({ a: { dtype: "F32", shape: [0.5], data_offsets: [0, 2] } }), /no dtype, shape/);
  await assertRefused(file({ a: { dtype: "F32", shape: [0], data_offsets: [0] } }), /no dtype, shape/);
  await assertRefused(file({ a: { dtype: "F31", shape: [0], data_offsets: [0, 0] } }), /unknown dtype for a, "F31"/);
  const int = { a: { dtype: "I32", shape: [1], data_offsets: [0, 4] } };
  await assertRefused(file(int, new Uint8Array(4)), /unsupported dtype of a: I32/);
});

test("damaged files work or give a PrunelabError", async () => {
  await fc.assert(
    fc.asyncProperty(damaged(three), (bytes) => assertSafe(() => readAll(bytes))),
    { numRuns: 2000 },
  );
});

test("reads shards through their index, and checks it", async () => {
  const shard = (name: string, value: number) =>
    file({ [name]: { dtype: "BF16", shape: [1], data_offsets: [0, 2] } }, bytesOf(Uint16Array.of(value)));
  await writeFile(join(folder, "model-1.safetensors"), shard("a", 1));
  await writeFile(join(folder, "model-2.safetensors"), shard("b", 2));
  const path = join(folder, "model.safetensors.index.json");
  const open = async (weightMap: unknown) => {
    await writeFile(path, JSON.stringify({ metadata: { total_size: 4 }, weight_map: weightMap }));
    return readSafetensorsIndex(path);
  };
  const entries = await open({ a: "model-1.safetensors", b: "model-2.safetensors" });
  assert.deepEqual(await readSafetensorsTensor(entries.get("a")!), Uint16Array.of(1));
  assert.deepEqual(await readSafetensorsTensor(entries.get("b")!), Uint16Array.of(2));
  await assert.rejects(open({ c: "model-1.safetensors" }), /missing tensor: c is not in model-1\.safetensors/);
  await assert.rejects(open({ a: "../model-1.safetensors" }), /names no file beside it for a/);
  await assert.rejects(open({ a: 3 }), /names no file beside it for a/);
  await assert.rejects(open({ a: "model-3.safetensors" }), /model-3\.safetensors: there is no such file/);
  await assert.rejects(open(undefined), /has no weight_map/);
});

test("writing is the inverse of reading", async () => {
  const tensors = new Map(
    ["one", "tüte", "none"].map((name, i) => {
      const shape = [[2, 3], [1], [0, 4]][i]!;
      const data = Uint16Array.from({ length: [6, 1, 0][i]! }, (_, j) => 1000 * i + j);
      return [name, { name, shape, data }] as const;
    }),
  );
  const path = join(folder, "written.safetensors");
  const progress: number[][] = [];
  await writeSafetensors(path, tensors.values(), async (name) => tensors.get(name)!, {
    onWritten: (...counts) => progress.push(counts),
    beforeVisible: () => assert.rejects(readFile(path), /ENOENT/),
  });
  assert.deepEqual(progress, [
    [12, 14],
    [14, 14],
    [14, 14],
  ]);
  assert.equal((await readFile(path)).readUInt32LE() % 8, 0);
  const entries = await readSafetensorsHeader(await fileSource(path));
  assert.equal(entries.size, 3);
  for (const [name, { shape, data }] of tensors) {
    assert.deepEqual(entries.get(name)!.shape, shape);
    assert.deepEqual(await readSafetensorsTensor(entries.get(name)!), data);
  }
});

test("a write that fails leaves the old file and no other", async () => {
  const path = join(folder, "kept", "model.safetensors");
  const tensor = { name: "a", shape: [1], data: Uint16Array.of(7) };
  await writeSafetensors(path, [tensor], async () => tensor);
  const failing = writeSafetensors(path, [tensor, { name: "b", shape: [1] }], async (name) => {
    if (name === "b") throw Object.assign(new Error("ENOSPC: no space"), { code: "ENOSPC", syscall: "write" });
    return tensor;
  });
  await assert.rejects(failing, /cannot write .*model\.safetensors: the disk is full/);
  assert.deepEqual(await readdir(join(folder, "kept")), ["model.safetensors"]);
  assert.deepEqual(
    await readSafetensorsTensor((await readSafetensorsHeader(await fileSource(path))).get("a")!),
    tensor.data,
  );
  await assert.rejects(
    writeSafetensors(path, [{ name: "a", shape: [2] }], async () => tensor),
    RangeError,
  );
});

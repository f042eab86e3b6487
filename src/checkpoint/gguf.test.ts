import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PrunelabError } from "../errors.ts";
import { bufferSource } from "./byte-source.ts";
import { assertSafe, damaged } from "./corrupt.test-helper.ts";
import { encodeGguf, type GgufInput } from "./gguf.test-helper.ts";
import { readGguf, readGgufTensor } from "./gguf.ts";
import { configFromGguf } from "./gguf-config.ts";
import { tokenizerFilesFromGguf } from "./gguf-tokenizer.ts";
import { tinyMetadata, tinyTokens } from "./tokenizer.test-helper.ts";

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const matrix: GgufInput = { name: "m", shape: [2, 3], type: 0, bytes: floats(1, 2, 3, -4, 5, 1 + 2 ** -9) };
const blocks: GgufInput = { name: "q", shape: [1, 32], type: 8, bytes: new Uint8Array(34).fill(1) };

const open = (bytes: Uint8Array) => readGguf(bufferSource(bytes, "x"));

async function assertRefused(bytes: Uint8Array, pattern: RegExp): Promise<void> {
  await assert.rejects(open(bytes), (error: unknown) => {
    assert.ok(error instanceof PrunelabError, String(error));
    assert.match(error.message, pattern);
    return true;
  });
}

/** The file with a few bytes put over others at `at`. */
function patched(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
}

for (const version of [2, 3] as const) {
  test(`reads version ${version}: metadata, shapes outermost first, places, values`, async () => {
    const bytes = encodeGguf({ "a.text": "ünï", "a.number": 7, "a.list": [1, 2] }, [matrix, blocks], { version });
    const { metadata, tensors } = await open(bytes);
    assert.equal(metadata["a.text"], "ünï");
    assert.equal(metadata["a.number"], 7);
    assert.deepEqual(metadata["a.list"], [1, 2]);
    assert.deepEqual([...tensors.keys()], ["m", "q"]);
    assert.deepEqual(tensors.get("m")!.shape, [2, 3]);
    assert.equal(tensors.get("q")!.type.name, "Q8_0");
    assert.equal(tensors.get("q")!.end, bytes.length - 30);
    assert.deepEqual(
      await readGgufTensor(tensors.get("m")!),
      Uint16Array.of(0x3f80, 0x4000, 0x4040, 0xc080, 0x40a0, 0x3f80),
    );
  });
}

test("keeps a byte order mark at the start of a token", async () => {
  const { metadata } = await open(encodeGguf(tinyMetadata(), []));
  assert.deepEqual(metadata["tokenizer.ggml.tokens"], tinyTokens);
  assert.ok(tinyTokens.some((token) => token.startsWith("\ufeff")));
});

test("adds in float32 before it rounds", async () => {
  // 1 + 2^-9 is not a bfloat16, 2^-9 is: rounding first would give 0.
  const { tensors } = await open(encodeGguf({}, [{ name: "n", shape: [2], type: 0, bytes: floats(1 + 2 ** -9, 0.5) }]));
  assert.deepEqual(await readGgufTensor(tensors.get("n")!, -1), Uint16Array.of(0x3b00, 0xbf00));
});

test("reads a tensor of many chunks", async () => {
  const count = 2 ** 16 * 3 + 32;
  const bytes = new Uint8Array((count / 32) * 34);
  for (let block = 0; block < count / 32; block++) {
    bytes[block * 34 + 1] = 0x3c;
    for (let j = 0; j < 32; j++) bytes[block * 34 + 2 + j] = (block + j) % 100;
  }
  const { tensors } = await open(encodeGguf({}, [{ name: "big", shape: [count], type: 8, bytes }]));
  const data = await readGgufTensor(tensors.get("big")!);
  const asFloat = new Float32Array(1);
  const bits = new Uint32Array(asFloat.buffer);
  for (let i = 0; i < count; i++) {
    bits[0] = data[i]! << 16;
    assert.equal(asFloat[0], (Math.floor(i / 32) + (i % 32)) % 100);
  }
});

test("honours general.alignment", async () => {
  const metadata = { "general.alignment": 128 };
  const { tensors } = await open(encodeGguf(metadata, [matrix, blocks], { alignment: 128 }));
  assert.equal(tensors.get("q")!.start % 128, 0);
  assert.equal((await readGgufTensor(tensors.get("m")!))[3], 0xc080);
  for (const alignment of [0, 3, 48, 2 ** 24]) {
    await assertRefused(encodeGguf({ "general.alignment": alignment }, [matrix]), /general\.alignment/);
  }
});

test("refuses what is not a GGUF of version 2 or 3", async () => {
  const bytes = encodeGguf({}, [matrix]);
  await assertRefused(new Uint8Array(), /not a gguf file: x/);
  await assertRefused(patched(bytes, 0, 0x67), /not a gguf file: x/);
  await assertRefused(patched(bytes, 4, 1), /unsupported gguf: x: version 1; needs version 2 or 3/);
  await assertRefused(patched(bytes, 4, 4), /unsupported gguf: x: version 4;/);
  await assertRefused(patched(bytes, 4, 0, 0, 0, 3), /unsupported gguf: x: big-endian; needs/);
});

test("refuses a file that is cut off anywhere", async () => {
  const bytes = encodeGguf(tinyMetadata(), [matrix, blocks]);
  for (let length = 0; length < bytes.length - 30; length += length < 100 ? 1 : 97) {
    await assertRefused(bytes.subarray(0, length), /cut off|corrupt|not a gguf file/);
  }
  await assertRefused(bytes.subarray(0, bytes.length - 31), /gguf file is cut off: x: needs [\d,]+ bytes, has [\d,]+/);
  // Without a tensor behind it, only the header's own end tells that the text is short.
  const text = encodeGguf({ "a.text": "some words" }, []);
  await assertRefused(text.subarray(0, Buffer.from(text).indexOf("words") + 2), /gguf file is cut off/);
  const long = encodeGguf({ "a.list": Array.from({ length: 700_000 }, (_, i) => i) }, []);
  await assertRefused(long.subarray(0, 1_900_000), /gguf file is cut off: x: needs [\d,]+ bytes, has 1,900,000 bytes/);
  // The padding behind the last tensor is not needed.
  await open(bytes.subarray(0, bytes.length - 30));
});

test("refuses absurd sizes without allocating them", async () => {
  const bytes = encodeGguf({ k: "v" }, [matrix]);
  const huge = [255, 255, 255, 255, 255, 255, 255, 127];
  const infos = bytes.indexOf("m".charCodeAt(0), 40);
  for (const [what, at] of [
    ["tensor count", 8],
    ["metadata count", 16],
    ["key length", 24],
    ["string length", 24 + 8 + 1 + 4],
    ["dimension", infos + 1 + 4],
    ["offset", infos + 1 + 4 + 16 + 4],
  ] as const) {
    await assertSafe(() =>
      assertRefused(patched(bytes, at, ...huge), /cut off|corrupt/).catch((e) => assert.fail(`${what}: ${e}`)),
    );
    await assertSafe(() =>
      assertRefused(patched(bytes, at + 3, 1), /cut off|corrupt/).catch((e) => assert.fail(`${what}: ${e}`)),
    );
  }
  await assertRefused(patched(bytes, infos + 1, 5), /cut off|corrupt|shape/);
});

test("refuses unknown types, overlaps, misaligned offsets, double names, rows that are no whole blocks", async () => {
  await assertRefused(
    encodeGguf({}, [{ ...matrix, type: 16 }]),
    /unsupported ggml type of m: 16: x; use a file of F32, /,
  );
  await assertRefused(encodeGguf({}, [{ ...matrix, type: 9999 }]), /unsupported ggml type of m: 9999/);
  await assertRefused(encodeGguf({}, [matrix, matrix]), /names m twice/);
  await assertRefused(encodeGguf({}, [{ ...blocks, shape: [2, 16] }]), /gives q the shape 2 × 16, which no Q8_0/);
  const bytes = encodeGguf({}, [matrix, blocks]);
  const offset = bytes.indexOf("q".charCodeAt(0)) + 1 + 4 + 16 + 4;
  await assertRefused(patched(bytes, offset, 0), /lets q overlap the tensor before it/);
  await assertRefused(patched(bytes, offset, 33), /an offset that is not aligned/);
});

test("damaged files work or give a PrunelabError", async () => {
  const valid = encodeGguf({ "general.architecture": "gemma3", ...tinyMetadata() }, [matrix, blocks]);
  await fc.assert(
    fc.asyncProperty(damaged(valid), (bytes) =>
      assertSafe(async () => {
        const { metadata, tensors } = await open(bytes);
        for (const tensor of tensors.values()) await readGgufTensor(tensor);
        tokenizerFilesFromGguf(metadata);
        configFromGguf(metadata, { vocabularySize: 512, isTied: true }, "x");
      }),
    ),
    { numRuns: 1000 },
  );
});

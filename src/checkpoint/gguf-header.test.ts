import assert from "node:assert/strict";
import { test } from "node:test";
import { type GGUFTypedMetadata, GGUFValueType, serializeGgufMetadata } from "@huggingface/gguf";
import fc from "fast-check";
import { bufferSource } from "./byte-source.ts";
import { assertSafe, damaged } from "./corrupt.test-helper.ts";
import { readGgufHeader } from "./gguf-header.ts";

type Pairs = Record<string, { value: unknown; type: GGUFValueType; subType?: GGUFValueType }>;

function head(pairs: Pairs): Uint8Array {
  const metadata: Pairs = {
    version: { value: 3, type: GGUFValueType.UINT32 },
    tensor_count: { value: 0n, type: GGUFValueType.UINT64 },
    kv_count: { value: BigInt(Object.keys(pairs).length), type: GGUFValueType.UINT64 },
    ...pairs,
  };
  return serializeGgufMetadata(metadata as GGUFTypedMetadata);
}

const withTokens = (tokens: string[]) =>
  head({
    "general.name": { value: "a name with tokenizer.ggml.tokens in it", type: GGUFValueType.STRING },
    "tokenizer.ggml.tokens": { value: tokens, type: GGUFValueType.ARRAY, subType: GGUFValueType.STRING },
    "tokenizer.ggml.model": { value: "llama", type: GGUFValueType.STRING },
  });

const read = (bytes: Uint8Array) => readGgufHeader(bufferSource(bytes, "x"));
const readTokens = async (bytes: Uint8Array) => (await read(bytes)).metadata["tokenizer.ggml.tokens"];

test("reads what another library wrote, byte-order marks too", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: "grapheme" })), async (tokens) => {
      const marked = [...tokens, ...tokens.map((token) => `\ufeff${token}`), "", "\ufeff\ufeff"];
      assert.deepEqual(await readTokens(withTokens(marked)), marked);
    }),
  );
  assert.deepEqual(await readTokens(withTokens([])), []);
});

test("reads numbers of every type, alone and in arrays", async () => {
  const { UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, UINT64, INT64, FLOAT64, ARRAY } = GGUFValueType;
  const types: [GGUFValueType, unknown][] = [
    [UINT8, 255],
    [INT8, -128],
    [UINT16, 65535],
    [INT16, -32768],
    [UINT32, 2 ** 32 - 1],
    [INT32, -(2 ** 31)],
    [FLOAT32, Math.fround(1e-6)],
    [BOOL, true],
    [UINT64, 2n ** 64n - 1n],
    [INT64, -(2n ** 63n)],
    [FLOAT64, 1e-300],
  ];
  for (const [type, value] of types) {
    // The library takes no lists of its type 0.
    const list = type === UINT8 ? {} : { list: { value: [value, value], type: ARRAY, subType: type } };
    const { metadata } = await read(head({ one: { value, type }, ...list }));
    assert.deepEqual({ ...metadata }, { one: value, ...(type !== UINT8 && { list: [value, value] }) });
  }
});

test("a header longer than the first read, and an array that is asked for twice", async () => {
  const tokens = Array.from({ length: 200_000 }, (_, i) => `token ${i}`);
  const { metadata } = await read(withTokens(tokens));
  assert.deepEqual(metadata["tokenizer.ggml.tokens"], tokens);
  assert.equal(metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.tokens"]);
});

test("a cut is told with its place, wherever it is", async () => {
  const whole = withTokens(["one", "two"]);
  const { end } = await read(whole);
  for (let length = 24; length < end; length++) {
    await assert.rejects(
      read(whole.subarray(0, length)),
      /^PrunelabError: gguf file is cut off: x: needs \d+ bytes, has \d+ bytes; download it again$/,
    );
  }
  assert.deepEqual(await readTokens(whole.subarray(0, end)), ["one", "two"]);
});

test("an unknown type and arrays without end are told", async () => {
  const bytes = withTokens([]);
  const at = Buffer.from(bytes).lastIndexOf("tokenizer.ggml.tokens") + 21;
  bytes[at] = 13;
  await assert.rejects(
    read(bytes),
    /gguf header is corrupt: x: it has a value of the unknown type 13; download it again/,
  );
  bytes.fill(9, at, at + 1);
  for (let i = at + 4; i + 12 < bytes.length; i += 12) bytes.set([9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], i);
  await assert.rejects(read(bytes), /gguf (header is corrupt: x: it has arrays within arrays|file is cut off)/);
});

test("damage gives an error of ours or other strings, never more", async () => {
  await fc.assert(
    fc.asyncProperty(damaged(withTokens(["<pad>", "a", "\ufeffb"])), (bytes) =>
      assertSafe(async () => {
        if (bytes.length >= 24) await readTokens(bytes);
      }),
    ),
  );
});

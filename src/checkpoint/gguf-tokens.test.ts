import assert from "node:assert/strict";
import { test } from "node:test";
import { type GGUFTypedMetadata, GGUFValueType, serializeGgufMetadata } from "@huggingface/gguf";
import fc from "fast-check";
import { assertSafe, damaged } from "./corrupt.test-helper.ts";
import { readGgufTokens } from "./gguf-tokens.ts";

function head(tokens: string[], key = "tokenizer.ggml.tokens"): Uint8Array {
  const metadata: Record<string, unknown> = {
    version: { value: 3, type: GGUFValueType.UINT32 },
    tensor_count: { value: 0n, type: GGUFValueType.UINT64 },
    kv_count: { value: 3n, type: GGUFValueType.UINT64 },
    "general.name": { value: "a name with tokenizer.ggml.tokens in it", type: GGUFValueType.STRING },
    [key]: { value: tokens, type: GGUFValueType.ARRAY, subType: GGUFValueType.STRING },
    "tokenizer.ggml.model": { value: "llama", type: GGUFValueType.STRING },
  };
  return serializeGgufMetadata(metadata as GGUFTypedMetadata);
}

test("reads what another library wrote, byte-order marks too", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" })), (tokens) => {
      const marked = [...tokens, ...tokens.map((token) => `\ufeff${token}`), "", "\ufeff\ufeff"];
      assert.deepEqual(readGgufTokens(head(marked)), marked);
    }),
  );
  assert.deepEqual(readGgufTokens(head([])), []);
});

test("a missing array is told", () => {
  assert.throws(() => readGgufTokens(head(["a"], "tokenizer.ggml.token")), {
    name: "PrunelabError",
    message: "gguf has no tokenizer.ggml.tokens as an array of strings; convert the model again with its tokenizer",
  });
});

test("a cut is told with its place, wherever it is", () => {
  const whole = head(["one", "two"]);
  // The metadata after the array is "tokenizer.ggml.model"; padding may follow.
  const end = Buffer.from(whole).indexOf("two") + 3;
  const start = Buffer.from(whole).lastIndexOf("tokenizer.ggml.tokens") + 21 + 8;
  for (let length = start; length < end; length++) {
    assert.throws(
      () => readGgufTokens(whole.subarray(0, length)),
      /^PrunelabError: gguf is cut off in .*; download it again$/,
    );
  }
  assert.deepEqual(readGgufTokens(whole.subarray(0, end)), ["one", "two"]);
});

test("damage gives an error of ours or other strings, never more", async () => {
  await fc.assert(
    fc.asyncProperty(damaged(head(["<pad>", "a", "\ufeffb"])), (bytes) =>
      assertSafe(async () => readGgufTokens(bytes)),
    ),
  );
});

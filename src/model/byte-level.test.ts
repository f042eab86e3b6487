import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bpeTokenizerFiles } from "../checkpoint/gguf-bpe-tokenizer.ts";
import { encodePrompt, loadTokenizer } from "./tokenizer.ts";

interface Way {
  readonly normalizer: unknown;
  readonly preTokenizer: unknown;
  readonly decoder: unknown;
  readonly ids: readonly (readonly number[])[];
  readonly decoded: readonly string[];
}

const expected: {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly merges: readonly string[];
  readonly texts: readonly string[];
  readonly ways: Readonly<Record<string, Way>>;
} = JSON.parse(readFileSync(new URL("../../data/expected/byte-level-ids.json", import.meta.url), "utf8"));

const metadata = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  "general.architecture": "llama",
  "llama.context_length": 8192,
  "tokenizer.ggml.model": "gpt2",
  "tokenizer.ggml.pre": "smollm",
  "tokenizer.ggml.tokens": expected.tokens,
  "tokenizer.ggml.token_type": expected.types,
  "tokenizer.ggml.merges": expected.merges,
  "tokenizer.ggml.bos_token_id": 0,
  "tokenizer.ggml.eos_token_id": 2,
  ...changes,
});

for (const [pre, way] of Object.entries(expected.ways)) {
  test(`${pre}: a GGUF's byte-level tokenizer is the published one, and gives Python's ids and texts`, () => {
    const files = bpeTokenizerFiles(metadata({ "tokenizer.ggml.pre": pre }));
    assert.deepEqual(files.tokenizer.normalizer, way.normalizer);
    assert.deepEqual(files.tokenizer.pre_tokenizer, way.preTokenizer);
    assert.deepEqual(files.tokenizer.decoder, way.decoder);
    const tokenizer = loadTokenizer(files);
    for (const [i, text] of expected.texts.entries()) {
      assert.deepEqual(tokenizer.encode(text), way.ids[i], `${pre}: ${JSON.stringify(text)}`);
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      assert.equal(tokenizer.decode(ids), way.decoded[i], `${pre}: ${JSON.stringify(text)}`);
    }
  });
}

test("BOS stands first only where the file says so, and EOS takes its place before a text that has none", () => {
  const llama = loadTokenizer(bpeTokenizerFiles(metadata({ "tokenizer.ggml.pre": "llama-bpe" })));
  assert.equal(llama.encode("a")[0], 0);
  assert.deepEqual(encodePrompt(llama, "<|endoftext|>a"), llama.encode("a"));
  const smollm = loadTokenizer(bpeTokenizerFiles(metadata()));
  assert.equal(smollm.encode("a").length, 1);
  assert.equal(smollm.prefixTokenId, 0);
  const qwen = loadTokenizer(bpeTokenizerFiles(metadata({ "tokenizer.ggml.bos_token_id": undefined })));
  assert.deepEqual([qwen.specialTokens.bos, qwen.prefixTokenId, qwen.specialTokens.pad], [null, 2, ["<|im_end|>", 2]]);
});

test("a tokenizer that cannot be is told", () => {
  const refuses = (changes: Record<string, unknown>, message: RegExp) =>
    assert.throws(() => bpeTokenizerFiles(metadata(changes)), { name: "PrunelabError", message });
  refuses(
    { "tokenizer.ggml.pre": "tekken" },
    /^gguf has tokenizer\.ggml\.pre "tekken"; Prunelab knows gpt-2, olmo, smollm/,
  );
  refuses({ "tokenizer.ggml.pre": "toString" }, /tokenizer\.ggml\.pre "toString"/);
  refuses({ "tokenizer.ggml.merges": undefined }, /^gguf has no tokenizer\.ggml\.merges/);
  refuses({ "tokenizer.ggml.tokens": [...expected.tokens.slice(0, -1), "!"] }, /^gguf has the token "!" twice/);
  refuses({ "tokenizer.ggml.eos_token_id": 9999 }, /^gguf has no token for tokenizer\.ggml\.eos_token_id 9999/);
  refuses({ "tokenizer.ggml.eos_token_id": undefined }, /^gguf has no tokenizer\.ggml\.eos_token_id/);
});

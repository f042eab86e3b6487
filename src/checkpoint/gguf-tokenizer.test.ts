import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { tokenizerFilesFromGguf } from "./gguf-tokenizer.ts";
import { openCheckpointFile } from "./open.ts";
import { tinyMetadata, tinyTokens } from "./tokenizer.test-helper.ts";

const modelFile = process.env.PRUNELAB_MODEL;
const skipWithoutModel = modelFile ? false : "set PRUNELAB_MODEL to the model's GGUF file";

interface TokenizerJson {
  added_tokens: { id: number; content: string; special: boolean }[];
  post_processor: { single: unknown[]; special_tokens: unknown };
  model: { vocab: Record<string, number>; merges: [string, string][]; unk_token: string };
}

const build = (changes: Record<string, unknown> = {}) => {
  const { tokenizer, tokenizerConfig } = tokenizerFilesFromGguf(tinyMetadata(changes));
  return { tokenizer: tokenizer as unknown as TokenizerJson, tokenizerConfig };
};

test("the vocabulary keeps every token under its id, with spaces marked", () => {
  const { vocab } = build().tokenizer.model;
  assert.equal(Object.keys(vocab).length, tinyTokens.length);
  for (const [id, token] of tinyTokens.entries()) assert.equal(vocab[token.replaceAll(" ", "▁")], id);
  assert.ok(Object.hasOwn(vocab, "__proto__"));
});

test("added tokens are the controls and the user-defined; special are the ones that Gemma calls so", () => {
  const { added_tokens } = build().tokenizer;
  assert.deepEqual(
    added_tokens.map(({ content }) => content),
    [
      "<pad>",
      "<eos>",
      "<bos>",
      "<unk>",
      "<mask>",
      "<start_of_turn>",
      "\n",
      "\n\n",
      "\n\n\n",
      "▁▁",
      "▁▁▁",
      "▁▁▁▁",
      "<b>",
    ],
  );
  assert.deepEqual(
    added_tokens.filter(({ special }) => special).map(({ content }) => content),
    ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>"],
  );
});

test("merges of user-defined tokens come first in spite of their stored score, then by score", () => {
  const { merges } = build().tokenizer.model;
  assert.deepEqual(merges.slice(0, 12), [
    ["▁▁▁", "▁"],
    ["▁▁", "▁▁"],
    ["\n\n", "\n"],
    ["▁▁", "▁"],
    ["▁", "▁▁▁"],
    ["\n", "\n\n"],
    ["▁", "▁▁"],
    ["\n", "\n"],
    ["▁", "▁"],
    ["▁", "t"],
    ["h", "e"],
    ["▁t", "he"],
  ]);
});

test("BOS is put before texts unless the file says otherwise", () => {
  const bos = { SpecialToken: { id: "<bos>", type_id: 0 } };
  const text = { Sequence: { id: "A", type_id: 0 } };
  assert.deepEqual(build().tokenizer.post_processor.single, [bos, text]);
  assert.deepEqual(build({ "tokenizer.ggml.add_bos_token": undefined }).tokenizer.post_processor.single, [bos, text]);
  const without = build({ "tokenizer.ggml.add_bos_token": false });
  assert.deepEqual(without.tokenizer.post_processor.single, [text]);
  assert.equal(without.tokenizerConfig.add_bos_token, false);
});

test("the config names the special tokens, and a chat template only where the file has one", () => {
  assert.deepEqual(build().tokenizerConfig, {
    add_bos_token: true,
    add_eos_token: false,
    bos_token: "<bos>",
    clean_up_tokenization_spaces: false,
    eos_token: "<eos>",
    model_max_length: 512,
    pad_token: "<pad>",
    padding_side: "left",
    spaces_between_special_tokens: false,
    tokenizer_class: "GemmaTokenizer",
    unk_token: "<unk>",
    use_default_system_prompt: false,
  });
  assert.equal(build({ "tokenizer.chat_template": "{{ x }}" }).tokenizerConfig.chat_template, "{{ x }}");
  assert.equal(build({ "tokenizer.ggml.eos_token_id": 5 }).tokenizerConfig.eos_token, "<start_of_turn>");
  assert.equal(build({ "tokenizer.ggml.padding_token_id": undefined }).tokenizerConfig.pad_token, "<pad>");
});

const advice = "; convert the model again with llama.cpp's convert_hf_to_gguf.py";
const mistakes: readonly [Record<string, unknown>, string][] = [
  [{ "tokenizer.ggml.model": undefined }, 'gguf has tokenizer.ggml.model undefined, where Gemma 3 has "llama"'],
  [{ "tokenizer.ggml.model": "gpt2" }, 'gguf has tokenizer.ggml.model "gpt2", where Gemma 3 has "llama"'],
  [{ "tokenizer.ggml.tokens": undefined }, "gguf has no tokenizer.ggml.tokens"],
  [{ "tokenizer.ggml.tokens": ["a", 1] }, "gguf has 1 in tokenizer.ggml.tokens at 1, where a string belongs"],
  [{ "tokenizer.ggml.tokens": [] }, `gguf has ${tinyTokens.length} values in tokenizer.ggml.scores for 0 tokens`],
  [{ "tokenizer.ggml.scores": [0] }, `gguf has 1 values in tokenizer.ggml.scores for ${tinyTokens.length} tokens`],
  [
    { "tokenizer.ggml.scores": tinyTokens.map(() => Number.NaN) },
    "gguf has NaN in tokenizer.ggml.scores at 0, where a number belongs",
  ],
  [{ "tokenizer.ggml.token_type": undefined }, "gguf has no tokenizer.ggml.token_type"],
  [
    { "tokenizer.ggml.tokens": tinyTokens.map(() => "a") },
    `gguf has the token "a" twice, as 0 and ${tinyTokens.length - 1}`,
  ],
  [{ "tokenizer.ggml.bos_token_id": 9999 }, "gguf has no token for tokenizer.ggml.bos_token_id 9999"],
  [{ "tokenizer.ggml.add_space_prefix": true }, "gguf sets tokenizer.ggml.add_space_prefix, which Gemma 3 does not"],
  [{ "tokenizer.ggml.add_eos_token": true }, "gguf sets tokenizer.ggml.add_eos_token, which Gemma 3 does not"],
];
for (const [changes, message] of mistakes) {
  test(`refuses: ${message}`, () => {
    assert.throws(() => build(changes), { name: "PrunelabError", message: message + advice });
  });
}

test("a special token that the file neither names nor has is told", () => {
  const tokens = tinyTokens.map((token) => (token === "<pad>" ? "<nothing>" : token));
  const changes = { "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.padding_token_id": undefined };
  assert.throws(() => build(changes), {
    message: /^gguf has no token for tokenizer.ggml.padding_token_id \(missing\);/,
  });
});

test("google/gemma-3-270m: vocabulary and merges are the published ones", { skip: skipWithoutModel }, async () => {
  const { tokenizer } = await (await openCheckpointFile(modelFile!)).tokenizer();
  const { added_tokens, model } = tokenizer as unknown as TokenizerJson;
  const digest = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex");
  // Digests of the same parts of the tokenizer.json that Google published, parsed and written again; its last added
  // token, <image_soft_token>, left out.
  assert.equal(model.merges.length, 514_906);
  assert.equal(digest(model.merges), "2fb853b944f9cc036314428b7c8e1d4aa5ce1a63b7a69ba0be7e6958a721c494");
  assert.equal(digest(model.vocab), "6ddae0424ada3329e75edb15fdfed58f36f738827bbcc8fbbab343997c5a46bf");
  assert.equal(added_tokens.length, 6_414);
  assert.equal(digest(added_tokens), "28f16ffcddba3befd6b9fffa1e5e23a0ee9ed541b2bf82eed6d88103c4f5690d");
});

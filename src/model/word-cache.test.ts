import assert from "node:assert/strict";
import { test } from "node:test";
import { Tokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { tokenizerFilesFromGguf } from "../checkpoint/gguf-tokenizer.ts";
import { tinyMetadata } from "../checkpoint/tokenizer.test-helper.ts";
import { encodeByWords } from "./word-cache.ts";

const { tokenizer, tokenizerConfig } = tokenizerFilesFromGguf(tinyMetadata());
const library = new Tokenizer(tokenizer, tokenizerConfig);
const whole = (text: string) => library.encode(text, { add_special_tokens: false }).ids;

/** The ids of `text`, and what was encoded to get them. */
function encode(text: string, json: Record<string, unknown> = tokenizer): { ids: number[]; parts: string[] } {
  const parts: string[] = [];
  const append = encodeByWords(json, (part) => {
    parts.push(part);
    return whole(part);
  });
  const ids: number[] = [];
  append(text, ids);
  return { ids, parts };
}

test("encodes each word once", () => {
  const { ids, parts } = encode("the the  ab the ab\nthe");
  assert.deepEqual(parts, ["the", " the", "  ab", " ab\nthe"]);
  assert.deepEqual(ids, whole("the the  ab the ab\nthe"));
});

test("texts in which a token may cross the start of a space go whole", () => {
  for (const text of ["the> </the the", "> </> </", "the ▁the the"]) {
    const { ids, parts } = encode(text);
    assert.deepEqual(parts, [text]);
    assert.deepEqual(ids, whole(text));
  }
  // ">▁</" is one token, which words alone would miss.
  assert.equal(whole("> </").length, 1);
});

test("any text gets the ids of the whole text", () => {
  const piece = fc.constantFrom(..."theab>/< \n▁", "  ", "> </", "</", "<bos>", "<b>", "😀", "é", "\ufeff", "\ufeffa");
  fc.assert(
    fc.property(fc.string({ unit: piece, maxLength: 40 }), (text) => {
      assert.deepEqual(encode(text).ids, whole(text));
    }),
    { numRuns: 1000 },
  );
});

test("a tokenizer whose words depend on each other is left alone", () => {
  const model = tokenizer.model as { vocab: Record<string, number> };
  const { "<0x41>": _, ...withoutByte } = model.vocab;
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`a▁${i}`, 1000 + i]));
  const others: Record<string, unknown>[] = [
    { normalizer: null },
    { normalizer: { type: "Prepend", prepend: "▁" } },
    { pre_tokenizer: { type: "ByteLevel" } },
    { model: { ...model, type: "Unigram" } },
    { model: { ...model, byte_fallback: false } },
    { model: { ...model, vocab: withoutByte } },
    { model: { ...model, vocab: { ...model.vocab, ...many } } },
    { added_tokens: [{ content: "<x>", lstrip: true }] },
  ];
  for (const changes of others) assert.deepEqual(encode("the the", { ...tokenizer, ...changes }).parts, ["the the"]);
});

test("an added token with a space inside is found", () => {
  const json = { ...tokenizer, added_tokens: [{ content: "end of text" }] };
  assert.deepEqual(encode("the end of text", json).parts, ["the end of text"]);
  assert.deepEqual(encode("the end of", json).parts, ["the", " end", " of"]);
});

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AutoTokenizer } from "@huggingface/transformers";
import fc from "fast-check";
import { tokenizerFilesFromGguf } from "../checkpoint/gguf-tokenizer.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { tinyMetadata, tinyTokens } from "../checkpoint/tokenizer.test-helper.ts";
import { encodePrompt, loadTokenizer } from "./tokenizer.ts";

const files = tokenizerFilesFromGguf(tinyMetadata());
const tiny = loadTokenizer(files);
const id = (token: string) => tinyTokens.indexOf(token);
/** Text that only text can make, and what spells tokens or trips encoders. */
const unit = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 3 }),
  fc.constantFrom(
    ..."the ab\n\t",
    "  ",
    "\r\n",
    "> </",
    "<bos>",
    "<0x0A>",
    "<unused1>",
    "\ufeff",
    "\ud800",
    "e\u0301",
    "1",
  ),
);
const anyText = fc.array(unit, { maxLength: 30 }).map((units) => units.join(""));

test("encodes with BOS, by merges, bytes where no token is", () => {
  assert.deepEqual(tiny.encode("the the"), [2, id("t"), id("he"), id("▁the")]);
  assert.deepEqual(tiny.encode("é", { addSpecialTokens: false }), [id("<0xC3>"), id("<0xA9>")]);
  assert.deepEqual(tiny.encode("     \n\n\n\n"), [2, id("    "), id("▁"), id("\n\n\n"), id("\n")]);
  assert.deepEqual(tiny.encode(""), [2]);
  assert.deepEqual(tiny.encode("", { addSpecialTokens: false }), []);
});

test("a text that spells BOS gets it twice, but not as a prompt", () => {
  assert.deepEqual(tiny.encode("<bos>a"), [2, 2, id("a")]);
  assert.deepEqual(encodePrompt(tiny, "<bos>a"), [2, id("a")]);
  assert.deepEqual(encodePrompt(tiny, "a<bos>"), [2, id("a"), 2]);
  assert.deepEqual(encodePrompt(tiny, ""), [2]);
});

test("knows the special tokens, also as older files write them", () => {
  assert.deepEqual(tiny.specialTokens, { pad: ["<pad>", 0], eos: ["<eos>", 1], bos: ["<bos>", 2] });
  const eos_token = { __type: "AddedToken", content: "<unk>" };
  const older = loadTokenizer({ ...files, tokenizerConfig: { ...files.tokenizerConfig, eos_token } });
  assert.deepEqual(older.specialTokens.eos, ["<unk>", 3]);
});

test("without BOS in the post-processor none is added", () => {
  const bare = loadTokenizer(tokenizerFilesFromGguf(tinyMetadata({ "tokenizer.ggml.add_bos_token": false })));
  assert.deepEqual(bare.encode("a"), [id("a")]);
});

test("decodes with and without special tokens", () => {
  const ids = tiny.encode("<bos>a<eos> b<mask>");
  assert.equal(tiny.decode(ids), "<bos><bos>a<eos> b<mask>");
  assert.equal(tiny.decode(ids, { skipSpecialTokens: true }), "a b<mask>");
  assert.equal(tiny.decode([]), "");
  assert.equal(tiny.decode([2], { skipSpecialTokens: true }), "");
  assert.equal(tiny.decode([id("<0xC3>"), id("<0xA9>")]), "é");
  assert.equal(tiny.decode([999_999]), "<unk>");
});

test("decoding gives the text back, a lone surrogate as U+FFFD", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      // The mark of a space reads as a space: the one text that does not come back.
      const expected = text.replace(/\p{Surrogate}/gu, "\ufffd").replaceAll("▁", " ");
      assert.equal(tiny.decode(tiny.encode(text, { addSpecialTokens: false })), expected);
    }),
  );
});

test("decoding keeps U+FEFF, as a token and as bytes", () => {
  for (const text of ["\ufeff", "\ufeffa", "a\ufeffb", "\ufeff\ufeff", " \ufeff"]) {
    assert.equal(tiny.decode(tiny.encode(text, { addSpecialTokens: false })), text);
  }
});

test("a Llama's vocabulary gets a space in front of texts, and may lack a padding token", () => {
  const llama = { "general.architecture": "llama", "llama.context_length": 2048 };
  const added = { "tokenizer.ggml.add_space_prefix": undefined, "tokenizer.ggml.padding_token_id": undefined };
  const { tokenizer, tokenizerConfig } = tokenizerFilesFromGguf(tinyMetadata({ ...llama, ...added }));
  const mark = { type: "Replace", pattern: { String: " " }, content: "▁" };
  assert.deepEqual(tokenizer.normalizer, {
    type: "Sequence",
    normalizers: [{ type: "Prepend", prepend: "▁" }, mark],
  });
  assert.equal(tokenizer.pre_tokenizer, null);
  assert.deepEqual(tokenizerConfig.pad_token, undefined);
  assert.equal(tokenizerConfig.model_max_length, 2048);
  const { encode, decode, specialTokens } = loadTokenizer({ tokenizer, tokenizerConfig });
  assert.deepEqual(specialTokens, { pad: ["<unk>", 3], eos: ["<eos>", 1], bos: ["<bos>", 2] });
  // Python's tokenizers 0.23 on the same file.
  assert.deepEqual(encode("the a"), [2, id("▁the"), id("▁"), id("a")]);
  assert.deepEqual(encode(""), [2]);
  assert.equal(decode(encode("the ab", { addSpecialTokens: false })), "the ab");
  assert.equal(decode(encode(" the", { addSpecialTokens: false })), " the");
  const without = tokenizerFilesFromGguf(tinyMetadata({ ...llama, "tokenizer.ggml.add_space_prefix": false }));
  assert.deepEqual(without.tokenizer.normalizer, mark);
});

test("files that are no tokenizer are told", () => {
  const { tokenizer, tokenizerConfig } = files;
  const refuses = (changed: Partial<typeof files>, message: RegExp) =>
    assert.throws(() => loadTokenizer({ ...files, ...changed }), { name: "PrunelabError", message });
  refuses({ tokenizer: {} }, /^tokenizer\.json cannot be used: .*; download it again$/);
  refuses({ tokenizer: { ...tokenizer, model: null } }, /^tokenizer\.json cannot be used: /);
  refuses(
    { tokenizerConfig: { ...tokenizerConfig, eos_token: undefined } },
    /^tokenizer_config\.json names no known eos_token: missing; download it again$/,
  );
  refuses(
    { tokenizerConfig: { ...tokenizerConfig, bos_token: "<s>" } },
    /^tokenizer_config\.json names no known bos_token: "<s>";/,
  );
  const single = [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "<eos>", type_id: 0 } }];
  refuses(
    { tokenizer: { ...tokenizer, post_processor: { type: "TemplateProcessing", single } } },
    /^tokenizer\.json adds other tokens than a leading BOS;.*: 1$/,
  );
});

test("transformers.js loads the files from a folder and agrees", async () => {
  const folder = await mkdtemp(join(tmpdir(), "prunelab-tokenizer-"));
  try {
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(files.tokenizer));
    await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(files.tokenizerConfig));
    const loaded = await AutoTokenizer.from_pretrained(folder, { local_files_only: true });
    assert.equal(loaded.constructor.name, "GemmaTokenizer");
    assert.equal(loaded.bos_token_id, 2);
    for (const text of ["the  ab\n\n<eos> 😀é", "__proto__", "> </the", "\ufeffa"]) {
      assert.deepEqual(tiny.encode(text), loaded.encode(text));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

const tokenizerOf = async (path: string) => loadTokenizer(await (await openCheckpointFile(path)).tokenizer());

test("the tiny model's folder and GGUF file have one tokenizer", async () => {
  const folder = await tokenizerOf("data/tiny-gemma3");
  const file = await tokenizerOf("data/tiny-gemma3/model.gguf");
  assert.deepEqual(file.specialTokens, folder.specialTokens);
  for (const text of ["The quick  brown\n\nfox", "<bos>é😀", "> </a"]) {
    assert.deepEqual(file.encode(text), folder.encode(text));
    assert.equal(file.decode(folder.encode(text, { addSpecialTokens: false })), text);
  }
});

const { PRUNELAB_SHARED: shared, PRUNELAB_MODEL: model } = process.env;
const skip =
  shared && model
    ? false
    : "set PRUNELAB_SHARED to a folder with reference/ and PRUNELAB_MODEL to the model's GGUF file";
const real = skip ? undefined : await tokenizerOf(model!);

test("google/gemma-3-270m: every reference text gives transformers' ids and text", { skip }, async () => {
  const { cases } = JSON.parse(await readFile(join(shared!, "reference", "tokens.json"), "utf8")) as {
    cases: { text: string; ids: number[]; decoded: string }[];
  };
  assert.ok(cases.length > 10);
  for (const { text, ids, decoded } of cases) {
    assert.deepEqual(real!.encode(text), ids, text);
    assert.equal(real!.decode(ids, { skipSpecialTokens: true }), decoded);
  }
  assert.deepEqual(real!.specialTokens, { pad: ["<pad>", 0], eos: ["<eos>", 1], bos: ["<bos>", 2] });
});

test("google/gemma-3-270m: any text comes back, a space's mark as a space", { skip }, () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const expected = text.replace(/\p{Surrogate}/gu, "\ufffd").replaceAll("▁", " ");
      assert.equal(real!.decode(real!.encode(text, { addSpecialTokens: false })), expected);
    }),
    { numRuns: 1000 },
  );
});

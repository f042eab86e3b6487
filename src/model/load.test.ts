import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { modelFile, shared, skipWithoutModel, skipWithoutShared, tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { batchPrompts } from "./generate.ts";
import type { GenerationRequest, Journal, LanguageModel, Loglikelihood } from "./language-model.ts";
import { loadLanguageModel } from "./load.ts";
import { weightsFolder } from "./weights.ts";

let model: LanguageModel;
before(async () => {
  model = await loadLanguageModel(await openCheckpointFile(tinyModel));
});
after(() => model.release());

// lm-eval 0.4.13 with transformers 5.23 in float32, on data/tiny-gemma3.
const written: readonly [GenerationRequest, string][] = [
  [{ context: "Question: who?", until: ["e"], maxNewTokens: 24 }, `???????${" magnitud".repeat(6)}${" is".repeat(11)}`],
  [{ context: "Question: who?", until: ["mag"], maxNewTokens: 24 }, "??????? "],
  [{ context: "Question: who?", until: [], maxNewTokens: 4 }, "????"],
  [{ context: "The cat", until: ["zzz"], maxNewTokens: 24 }, "t".repeat(24)],
  [{ context: "The cat", until: ["ttttt"], maxNewTokens: 24 }, ""],
  // Text that spells BOS is not given another one.
  [{ context: "<bos>The cat", until: ["zzz"], maxNewTokens: 3 }, "ttt"],
  [{ context: "", until: ["\n"], maxNewTokens: 6 }, " sente".repeat(6)],
  [{ context: "one two three", until: ["\n"], maxNewTokens: 30 }, `eeeeeeee+++++++++${" magnitud".repeat(5)}44444444`],
  [{ context: "one two three", until: ["+", "e+"], maxNewTokens: 30 }, "eeeeeeee"],
  // 401 tokens where the model sees 256: cut on the left.
  [{ context: "x ".repeat(200), until: ["\n"], maxNewTokens: 10 }, " ".repeat(10)],
];

test("writes what lm-eval's model writes, alone and together", async () => {
  for (const [request, text] of written) assert.deepEqual(await model.generateUntil([request]), [text]);
  const requests = written.map(([request]) => ({ ...request, until: [], maxNewTokens: 10 }));
  const together = await model.generateUntil(requests);
  for (const [i, request] of requests.entries()) {
    assert.deepEqual(await model.generateUntil([request]), [together[i]], `request ${i}`);
  }
});

test("keeps what was written, and does not ask for it again", async () => {
  const kept = new Map<string, readonly string[]>();
  const journal: Journal<string> = {
    get: (key) => kept.get(key),
    add: async (key, texts) => void kept.set(key, texts),
  };
  const requests = written.map(([request]) => request);
  const progress: number[] = [];
  const first = await model.generateUntil(requests, { journal, onProgress: ({ done }) => progress.push(done) });
  assert.equal(progress.at(-1), requests.length);
  assert.deepEqual(
    first,
    written.map(([, text]) => text),
  );
  for (const [key, texts] of kept)
    kept.set(
      key,
      texts.map((text) => `kept ${text}`),
    );
  const second = await model.generateUntil(requests, { journal });
  assert.deepEqual(
    second,
    first.map((text) => `kept ${text}`),
  );
  // Other ends and lengths are other questions.
  const other = requests.map((request) => ({ ...request, maxNewTokens: request.maxNewTokens! + 1 }));
  assert.ok((await model.generateUntil(other, { journal })).every((text) => !text.startsWith("kept")));
});

test("refuses to write nothing, or more than the model sees", async () => {
  for (const maxNewTokens of [0, -1, 1.5, 256]) {
    await assert.rejects(model.generateUntil([{ context: "a", until: [], maxNewTokens }]), {
      name: "PrunelabError",
      message: `maxNewTokens must be an integer from 1 to 255, as the model sees 256 tokens: ${maxNewTokens}`,
    });
  }
  assert.deepEqual(await model.generateUntil([]), []);
});

test("whole texts have lm-eval's log-likelihoods, also beyond one window, and in turn with writing", async () => {
  const texts: readonly [string, number][] = [
    ["a model", -27.42828],
    ["A longer text with many words, that goes on and on until it is over. ".repeat(6), -2296.37292],
    ["é 🙂", -64.36731],
    ["<bos>a model", -27.42828],
    [" ", -11.5259],
  ];
  const [sums, [written]] = await Promise.all([
    model.loglikelihoodRolling(texts.map(([text]) => text)),
    model.generateUntil([{ context: "The cat", until: [], maxNewTokens: 2 }]),
  ]);
  assert.equal(written, "tt");
  for (const [i, [text, expected]] of texts.entries()) {
    assert.ok(Math.abs(sums[i]! - expected) < 1e-3, `${text.slice(0, 20)}: ${sums[i]}`);
  }
});

test("batches put long prompts first and keep within bounds", () => {
  const prompts = [3, 5000, 4, 5000, 2, ...Array<number>(20).fill(1)].map((length) => Array<number>(length).fill(7));
  const batches = batchPrompts(prompts);
  assert.deepEqual(batches.slice(0, 2), [[1], [3]]);
  assert.deepEqual(batches[2], [2, 0, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(
    batches.flat().sort((a, b) => a - b),
    prompts.map((_, i) => i),
  );
  assert.deepEqual(batchPrompts([]), []);
});

test("the real model writes the reference's continuations, all in one batch", {
  skip: skipWithoutShared || skipWithoutModel,
}, async () => {
  const { base } = JSON.parse(readFileSync(join(shared!, "reference", "logits.json"), "utf8"));
  const greedy30 = base.greedy30 as { prompt: string; text: string }[];
  const real = await loadLanguageModel(await openCheckpointFile(modelFile!));
  const texts = await real.generateUntil(
    greedy30.map(({ prompt }) => ({ context: prompt, until: [], maxNewTokens: 30 })),
  );
  await real.release();
  assert.deepEqual(
    texts,
    greedy30.map(({ prompt, text }) => text.slice(prompt.length)),
  );
});

test("says which devices there are, and what one that is not there needs", async () => {
  const checkpoint = await openCheckpointFile(tinyModel);
  await assert.rejects(loadLanguageModel(checkpoint, { device: "npu" as "cpu" }), {
    name: "PrunelabError",
    message: "unknown device: npu; choose one of cpu, webgpu, cuda, dml, coreml",
  });
  // No machine has both.
  const device = process.platform === "darwin" ? "dml" : "coreml";
  await assert.rejects(loadLanguageModel(checkpoint, { device }), {
    name: "PrunelabError",
    message: /^device is not there: (dml|coreml): .*; it needs (Windows|macOS).*; choose cpu instead$/,
  });
});

const skipWithoutGpu = process.env.VK_ICD_FILENAMES
  ? false
  : "set VK_ICD_FILENAMES to SwiftShader's vk_swiftshader_icd.json";
test("scores on a GPU nearly as on the CPU, and keeps the two's answers apart", { skip: skipWithoutGpu }, async () => {
  const gpu = await loadLanguageModel(await openCheckpointFile(tinyModel), { device: "webgpu" });
  const requests = ["a", "The cat sat", "x ".repeat(60)].map((context) => ({ context, continuation: " magnitude is" }));
  const kept = new Map<string, readonly Loglikelihood[]>();
  const journal: Journal<Loglikelihood> = {
    get: (key) => kept.get(key),
    add: async (key, answers) => void kept.set(key, answers),
  };
  const onGpu = await gpu.loglikelihood(requests, { journal });
  await gpu.release();
  const onCpu = await model.loglikelihood(requests, { journal });
  // The pack's and the whole call's, of each.
  assert.equal(kept.size, 4);
  for (const [i, { sum }] of onCpu.entries()) {
    assert.ok(Math.abs(sum - onGpu[i]!.sum) < 2e-3, `request ${i}: ${sum} on the CPU, ${onGpu[i]!.sum} on the GPU`);
  }
});

test("where two texts would merge into one token the context keeps its own", async () => {
  // lm-eval 0.4.13 on data/tiny-gemma3.
  const [{ sum } = { sum: 0 }] = await model.loglikelihood([{ context: " the", continuation: "y z" }]);
  assert.ok(Math.abs(sum + 19.595) < 1e-3, String(sum));
});

test("a model whose weights the cache has dropped for others goes on, whatever it is asked", async () => {
  const checkpoint = await openCheckpointFile(tinyModel);
  const own = await loadLanguageModel(checkpoint);
  const request = { context: "The cat", continuation: " sat" };
  const before = await own.loglikelihood([request]);
  rmSync(await weightsFolder(checkpoint), { recursive: true });
  assert.deepEqual(await own.generateUntil([{ context: "The cat", until: ["zzz"], maxNewTokens: 3 }]), ["ttt"]);
  rmSync(await weightsFolder(checkpoint), { recursive: true });
  assert.deepEqual(await own.loglikelihood([request]), before);
  await own.release();
});

test("a text that spells a token beyond the embedding is refused before anything is scored", async () => {
  const checkpoint = await openCheckpointFile(tinyModel);
  const files = await checkpoint.tokenizer();
  const { added_tokens, model: vocabulary } = files.tokenizer as {
    added_tokens: { id: number; content: string }[];
    model: { vocab: Record<string, number> };
  };
  const beyond = { ...added_tokens[0]!, id: checkpoint.config.vocab_size, content: "<image_soft_token>" };
  const vocab = { ...vocabulary.vocab, "<image_soft_token>": checkpoint.config.vocab_size };
  const tokenizer = {
    ...files.tokenizer,
    added_tokens: [...added_tokens, beyond],
    model: { ...vocabulary, vocab },
  };
  const other = await loadLanguageModel({ ...checkpoint, tokenizer: async () => ({ ...files, tokenizer }) });
  const refusal = {
    name: "PrunelabError",
    message:
      /^text spells a token that the model has no embedding for: "<image_soft_token>" is token 512, of 512; take it out of the text: "a <image/,
  };
  const context = "a <image_soft_token>";
  await assert.rejects(other.loglikelihood([{ context, continuation: " b" }]), refusal);
  await assert.rejects(other.generateUntil([{ context, until: [], maxNewTokens: 5 }]), refusal);
  await assert.rejects(other.loglikelihoodRolling([context]), refusal);
  await other.release();
});

test("a window of tokens is scored from its second token on", async () => {
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const text = "The cat";
  const ids = model.encode(text);
  const [whole, first] = await model.loglikelihoodTokens([
    [model.specialTokens.bos![1], ...ids],
    [model.specialTokens.bos![1], ids[0]!],
  ]);
  const [asked] = await model.loglikelihood([{ context: "", continuation: text }]);
  assert.ok(Math.abs(whole! - asked!.sum) < 1e-4, `${whole} and ${asked!.sum}`);
  assert.ok(whole! < first! && first! < 0);
  await model.release();
});

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { loadTokenizer } from "../model/tokenizer.ts";
import { dollyPrompt, loadTrainingData, type TrainingWindow } from "./data.ts";

const model = await openCheckpointFile("data/tiny-gemma3");
const tokenizer = loadTokenizer(await model.tokenizer());

test("Dolly's prompt has a context only where there is one", () => {
  assert.equal(dollyPrompt("Say it.", ""), "Instruction:\nSay it.\n\nResponse:\n");
  assert.equal(dollyPrompt("Say it.", "Here."), "Instruction:\nSay it.\n\nContext:\nHere.\n\nResponse:\n");
});

test("Dolly-15k is read from its folder", async () => {
  const folder = await mkdtemp(join(tmpdir(), "prunelab-dolly-"));
  await mkdir(join(folder, "dolly"));
  const row = { instruction: "count on", context: "", category: "x", response: "one two three four" };
  const lines = Array.from({ length: 9 }, () => JSON.stringify(row)).join("\n");
  await writeFile(join(folder, "dolly", "databricks-dolly-15k.jsonl"), lines);
  process.env.PRUNELAB_DATA = folder;
  const { windows } = await loadTrainingData(model, { tokens: 32, heldOut: 0 });
  assert.match(tokenizer.decode(windows[0]!.ids), /^<bos>Instruction:\ncount on\n\nResponse:\no/);
  await rm(folder, { recursive: true });
});

test("windows begin with BOS, responses end with EOS and count alone, unless all is to count", async () => {
  const data = [{ prompt: "ab ", response: "cd" }];
  const repeated = Array.from({ length: 30 }, () => data[0]!);
  const { windows } = await loadTrainingData(model, { data: repeated, tokens: 16, heldOut: 0 });
  const [bos, eos] = [tokenizer.prefixTokenId, tokenizer.specialTokens.eos[1]];
  const row = [
    ...tokenizer.encode("ab ", { addSpecialTokens: false }),
    ...tokenizer.encode("cd", { addSpecialTokens: false }),
    eos,
  ];
  assert.deepEqual(windows[0]!.ids.slice(0, row.length + 1), [bos, ...row]);
  assert.equal(windows[0]!.counts[0], false);
  assert.equal(windows[0]!.counts[1], false);
  assert.equal(windows[0]!.counts[row.length], true);
  const all = await loadTrainingData(model, { data: repeated, tokens: 16, heldOut: 0, completionOnlyLoss: false });
  assert.ok(all.windows.every(({ counts }) => counts.slice(1).every((counted) => counted)));
});

test("a window without a label, the middle of a long prompt, is neither trained on nor held out", async () => {
  const long = { prompt: `${"ab ".repeat(40)}`, response: "cd" };
  const data = Array.from({ length: 30 }, (_, index) => ({ ...long, response: `cd ${index}` }));
  const some = await loadTrainingData(model, { data, tokens: 16, heldOut: 2, windows: 5 });
  assert.equal(some.windows.length, 5);
  for (const { counts } of [...some.windows, ...some.heldOut]) assert.ok(counts.includes(true));
});

test("no training window has twelve tokens in a row in common with a held-out one, and the seed gives the order", async () => {
  const letter = fc.constantFrom("a", "b", "c ", "d ");
  const rows = fc.array(
    fc.record({
      prompt: fc.string({ unit: letter, maxLength: 9 }),
      response: fc.string({ unit: letter, minLength: 20, maxLength: 60 }),
    }),
    { minLength: 60, maxLength: 60 },
  );
  const grams = ({ ids }: TrainingWindow) =>
    Array.from({ length: Math.max(0, ids.length - 11) }, (_, at) => ids.slice(at, at + 12).join(" "));
  await fc.assert(
    fc.asyncProperty(rows, fc.nat(5), async (data, seed) => {
      // Some rows twice, so that there is something to leave out.
      const options = { data: [...data, ...data.slice(0, 20)], tokens: 24, heldOut: 3, seed };
      const one = await loadTrainingData(model, options);
      const held = new Set(one.heldOut.flatMap(grams));
      assert.ok(!one.windows.some((window) => grams(window).some((gram) => held.has(gram))));
      assert.equal(one.heldOut.length, 3);
      assert.equal((await loadTrainingData(model, options)).digest, one.digest);
      assert.notEqual((await loadTrainingData(model, { ...options, seed: seed + 1 })).digest, one.digest);
    }),
    { numRuns: 10, seed: 1 },
  );
});

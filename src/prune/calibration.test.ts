import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { shared, skipWithoutShared, tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { loadTokenizer, type Tokenizer } from "../model/tokenizer.ts";
import { loadCalibration } from "./calibration.ts";
import { columnNorms } from "./statistics.ts";

let checkpoint: Checkpoint;
let tokenizer: Tokenizer;
let folder: string;
before(async () => {
  checkpoint = await openCheckpointFile(tinyModel);
  tokenizer = loadTokenizer(await checkpoint.tokenizer());
  folder = await mkdtemp(join(tmpdir(), "prunelab-calibration-"));
});
after(() => rm(folder, { recursive: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

test("a text is cut into full windows that begin with BOS", async () => {
  const text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
  const source = await file("one.txt", text);
  const { windows } = await loadCalibration(checkpoint, { source, windows: 3, tokens: 16 });
  const ids = tokenizer.encode(`${text}\n\n`, { addSpecialTokens: false });
  assert.deepEqual(
    windows,
    [0, 15, 30].map((from) => [tokenizer.prefixTokenId, ...ids.slice(from, from + 15)]),
  );
});

test("rows come in an order that the seed gives; a text field stands alone, else all texts are joined", async () => {
  const rows = Array.from({ length: 30 }, (_, i) => ({ question: `q${i}`, n: i, answer: `a${i}` }));
  const source = await file("rows.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
  const read = async (seed: number) => {
    const { windows, digest } = await loadCalibration(checkpoint, { source, windows: 2, tokens: 40, seed });
    return { text: tokenizer.decode(windows.flatMap((window) => window.slice(1))), digest };
  };
  const [first, again, other] = [await read(1), await read(1), await read(2)];
  assert.deepEqual(first, again);
  assert.notEqual(first.digest, other.digest);
  assert.match(first.text, /q(\d+)\na\1\n\nq/);
  const texts = await file("texts.jsonl", JSON.stringify({ text: "just this ".repeat(9), title: "not that" }));
  const { windows } = await loadCalibration(checkpoint, { source: texts, windows: 1, tokens: 9 });
  assert.doesNotMatch(tokenizer.decode(windows[0]!), /that/);
});

test("several sources share the windows", async () => {
  const sources = [await file("a.txt", "aaa bbb ccc ".repeat(50)), await file("b.txt", "xxx yyy zzz ".repeat(50))];
  const { windows } = await loadCalibration(checkpoint, { source: sources, windows: 5, tokens: 10 });
  const isFirst = windows.map((window) => tokenizer.decode(window).includes("a"));
  assert.deepEqual(isFirst, [true, true, false, false, false]);
});

test("too little text, none, or numbers that make no sense are refused", async () => {
  const source = await file("short.txt", "few words");
  const refused = async (options: object, message: RegExp) => {
    await assert.rejects(loadCalibration(checkpoint, { source, ...options }), { name: "PrunelabError", message });
  };
  await refused(
    {},
    /too little text to calibrate: .*short\.txt fills 0 of 64 windows of 256 tokens; choose fewer or shorter/,
  );
  await refused({ windows: 0 }, /invalid calibration\.windows: 0/);
  await refused({ tokens: 1 }, /invalid calibration\.tokens: 1/);
  await refused({ tokens: 257 }, /calibration windows of 257 tokens; the model sees 256; choose shorter ones/);
  await refused(
    { source: join(folder, "none.txt") },
    /cannot read calibration text: .*none\.txt.*; choose dolly, a \.jsonl file/,
  );
});

test("Dolly's records fill the default windows", { skip: skipWithoutShared }, async () => {
  const before = process.env.PRUNELAB_DATA;
  process.env.PRUNELAB_DATA = join(shared!, "data");
  const { windows } = await loadCalibration(checkpoint);
  if (before === undefined) delete process.env.PRUNELAB_DATA;
  else process.env.PRUNELAB_DATA = before;
  assert.deepEqual([windows.length, ...new Set(windows.map((window) => window.length))], [64, 256]);
});

test("calibration tells what its windows are made of, and the norms of what they meet", async () => {
  const first = await file("parts.txt", "the cat sat on the mat ".repeat(60));
  const second = await file("parts.jsonl", `${JSON.stringify({ text: "a dog ran ".repeat(90) })}\n`.repeat(3));
  const options = { source: [first, second], windows: 4, tokens: 16 };
  const { windows, parts } = await loadCalibration(checkpoint, options);
  assert.deepEqual(new Set(parts.map(({ source }) => source)), new Set([first, second]));
  assert.equal(
    parts.reduce((sum, { tokens }) => sum + tokens, 0),
    windows.length * 15,
  );
  const norms = await columnNorms(checkpoint, options);
  assert.equal(norms.length, 4 * checkpoint.config.num_hidden_layers);
  for (const { median, largest, width, outliers } of norms) {
    assert.ok(median > 0 && largest >= median && outliers < width / 2);
  }
});

/** `npm run bench:growth`: how the cost of scoring grows with the length of documents and with their number. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type ChoiceTask, evaluate, type LanguageModel, loadLanguageModel, openCheckpoint } from "../src/index.ts";
import { defaultModel } from "../src/open-checkpoint.ts";
import { parseWhole } from "./options.ts";

const help = `usage: npm run bench:growth -- [options]

--model <id or path>  default ${defaultModel}
--lengths <a,b>       tokens of a document's context; default 64,128,256,512,1024,2048,4096
--counts <a,b>        documents of --short tokens; default 50,500,2000,10000
--short <n>           default 8

Scores made-up documents with four choices of one word each, after one warm run, and prints milliseconds a document and the memory that the process held
at most up to then.`;

const { values } = parseArgs({
  options: {
    model: { type: "string", default: defaultModel },
    lengths: { type: "string", default: "64,128,256,512,1024,2048,4096" },
    counts: { type: "string", default: "50,500,2000,10000" },
    short: { type: "string", default: "8" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const lengths = values.lengths.split(",").map((text) => parseWhole("--lengths", text));
  const counts = values.counts.split(",").map((text) => parseWhole("--counts", text));
  const short = parseWhole("--short", values.short);
  const model = await loadLanguageModel(await openCheckpoint(values.model));
  await score(model, 8, 64);
  console.log("| tokens of a document | documents | ms a document | GB at most |\n|---:|---:|---:|---:|");
  for (const length of lengths) await score(model, Math.max(4, Math.ceil(4096 / length)), length).then(print);
  for (const count of counts) await score(model, count, short).then(print);
  await model.release();
}

interface Cost {
  readonly length: number;
  readonly count: number;
  readonly milliseconds: number;
}

function print({ length, count, milliseconds }: Cost): void {
  const peak = process.resourceUsage().maxRSS * 1024;
  console.log(`| ${length} | ${count} | ${(milliseconds / count).toFixed(2)} | ${(peak / 1e9).toFixed(2)} |`);
}

async function score(model: LanguageModel, count: number, length: number): Promise<Cost> {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-growth-"));
  try {
    const documents = Array.from({ length: count }, (_, index) => ({ text: madeUpText(model, index, length) }));
    const file = join(folder, "documents.jsonl");
    writeFileSync(file, documents.map((document) => `${JSON.stringify(document)}\n`).join(""));
    const task: ChoiceTask<{ text: string }> = {
      task: "made_up",
      version: 1,
      dataset: { path: "made-up", files: { test: file } },
      splits: { test: "test" },
      outputType: "multiple_choice",
      processDoc: (row) => ({ text: String(row.text) }),
      docToText: ({ text }) => text,
      docToChoice: () => ["one", "two", "three", "four"],
      docToTarget: () => 0,
      metrics: ["acc"],
    };
    const started = performance.now();
    await evaluate(model, [task], { fresh: true });
    return { length, count, milliseconds: performance.now() - started };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A text of `length` tokens, BOS among them, that begins otherwise than any other document. */
function madeUpText(model: LanguageModel, index: number, length: number): string {
  let state = index + 1;
  let text = `${index}`;
  // Each of these words is one token.
  for (let tokens = 1 + model.encode(text).length; tokens < length; tokens++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    text += [" a", " the", " cat", " dog", " sat", " ran", " on", " by"][state >>> 29];
  }
  return text;
}

/** `npm run bench:growth`: how the cost of scoring grows with the length of documents and with their number. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../../src/base/atomic.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { type ChoiceTask, evaluate, type LanguageModel, loadLanguageModel, openCheckpoint } from "../../src/index.ts";
import { axis, makeFigure, seriesColors } from "../../src/plot/figure.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseWhole } from "../cli/options.ts";

const help = `usage: npm run bench:growth -- [options]

--model <id or path>  default ${defaultModel}
--lengths <a,b>       tokens of a document's context; default 64,128,256,512,1024,2048,4096
--counts <a,b>        documents of --short tokens; default 50,500,2000,10000
--short <n>           default 8
--plots <folder>      writes two plots there, score-by-length.svg and score-by-count.svg

Scores made-up documents with four choices of one word each, after one warm run, and prints milliseconds a document and the memory that the process held
at most up to then.`;

explainErrors("bench:growth");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: defaultModel },
    lengths: { type: "string", default: "64,128,256,512,1024,2048,4096" },
    counts: { type: "string", default: "50,500,2000,10000" },
    short: { type: "string", default: "8" },
    plots: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const lengths = values.lengths.split(",").map((text) => parseWhole(text, "--lengths"));
  const counts = values.counts.split(",").map((text) => parseWhole(text, "--counts"));
  const short = parseWhole(values.short, "--short");
  const model = await loadLanguageModel(await openCheckpoint(values.model));
  await score(model, 8, 64);
  console.log("| tokens of a document | documents | ms a document | GB at most |\n|---:|---:|---:|---:|");
  const byLength: Cost[] = [];
  for (const length of lengths) byLength.push(await shown(model, Math.max(4, Math.ceil(4096 / length)), length));
  const byCount: Cost[] = [];
  for (const count of counts) byCount.push(await shown(model, count, short));
  await model.release();
  if (values.plots === undefined) return;
  const perDocument = ({ milliseconds, count }: Cost) => milliseconds / count;
  const notes = `${model.name} on ${availableParallelism()} cores; each document has four choices of one word.`;
  await plot("score-by-length.svg", {
    title: "What a document costs, by its length",
    notes,
    xTitle: "tokens of a document",
    points: byLength.map((cost) => [cost.length, perDocument(cost)]),
  });
  await plot("score-by-count.svg", {
    title: "What a document costs, by how many there are",
    notes: `${notes} ${short} tokens each. Memory at most: ${byCount.map(({ count, peakBytes }) => `${(peakBytes / 1e9).toFixed(2)} GB after ${count.toLocaleString("en-US")}`).join(", ")}.`,
    xTitle: "documents",
    points: byCount.map((cost) => [cost.count, perDocument(cost)]),
  });
}

interface Plot {
  readonly title: string;
  readonly notes: string;
  readonly xTitle: string;
  readonly points: readonly (readonly [x: number, milliseconds: number])[];
}

async function plot(file: string, { title, notes, xTitle, points }: Plot): Promise<void> {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const ticks = { tickmode: "array", tickvals: xs, ticktext: xs.map((x) => x.toLocaleString("en-US")) };
  const figure = makeFigure({
    title,
    caption: notes,
    xTitle,
    yTitle: "milliseconds a document",
    plotHeight: 260,
    left: 76,
    hasLegend: false,
    data: [{ type: "scatter", mode: "lines+markers", x: xs, y: ys, line: { color: seriesColors[0] } }],
    layout: {
      xaxis: axis({ type: "log", ...ticks }),
      // From a power of ten to a power of ten, so that a line of slope one is seen as such.
      yaxis: axis({ type: "log", dtick: 1, range: [floorLog(Math.min(...ys)), floorLog(Math.max(...ys)) + 1] }),
    },
  });
  await writeFileAtomic(join(values.plots!, file), await figure.svg());
}

function floorLog(value: number): number {
  return Math.floor(Math.log10(value));
}

interface Cost {
  readonly length: number;
  readonly count: number;
  readonly milliseconds: number;
  /** The most that the process held up to then. */
  readonly peakBytes: number;
}

async function shown(model: LanguageModel, count: number, length: number): Promise<Cost> {
  const cost = await score(model, count, length);
  const [milliseconds, gigabytes] = [cost.milliseconds / count, cost.peakBytes / 1e9];
  console.log(`| ${length} | ${count} | ${milliseconds.toFixed(2)} | ${gigabytes.toFixed(2)} |`);
  return cost;
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
    const milliseconds = performance.now() - started;
    return { length, count, milliseconds, peakBytes: process.resourceUsage().maxRSS * 1024 };
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

/** `npm run bench:context`: what a token costs in long inputs, scored, read and written, and the memory that it takes. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../../src/base/atomic.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { openCheckpoint } from "../../src/index.ts";
import { generateGreedily } from "../../src/model/generate.ts";
import { buildGraph } from "../../src/model/graphs.ts";
import { openScorer, releaseScorer, scoreTrees } from "../../src/model/score.ts";
import { TreeBuilder } from "../../src/model/token-tree.ts";
import { weightsFolder } from "../../src/model/weights.ts";
import { openSession } from "../../src/onnx/session.ts";
import { axis, makeFigure, seriesColors } from "../../src/plot/figure.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseWhole } from "../cli/options.ts";

const help = `usage: npm run bench:context -- [options]

--model <id or path>  default ${defaultModel}
--lengths <a,b>       tokens of an input; default 1024,2048,4096,8192
--written <n>         tokens that are written after each input; default 32
--plots <folder>      writes context-<model>.svg there

Scores a made-up text of each length as one window, then writes on after one as long. Prints milliseconds a token and the memory that the process held at most up to then.
An input may be longer than the model was made for: what it costs is the same.`;

explainErrors("bench:context");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: defaultModel },
    lengths: { type: "string", default: "1024,2048,4096,8192" },
    written: { type: "string", default: "32" },
    plots: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await bench();

interface Cost {
  readonly length: number;
  /** Milliseconds a token: in a text that is scored, in a prompt that is read, and of what is written after it. */
  readonly scored: number;
  readonly read: number;
  readonly written: number;
  readonly peakBytes: readonly [scoring: number, writing: number];
}

async function bench(): Promise<void> {
  const lengths = values.lengths.split(",").map((text) => parseWhole(text, "--lengths"));
  const count = parseWhole(values.written, "--written");
  const checkpoint = await openCheckpoint(values.model);
  const { config } = checkpoint;
  const folder = await weightsFolder(checkpoint);
  const texts = lengths.map((length) => madeUpTokens(length, config.vocab_size));
  const peak = () => process.resourceUsage().maxRSS * 1024;

  // One after the other: each session has a copy of the weights.
  const scorer = await openScorer(config, { folder });
  const scoring: { milliseconds: number; peakBytes: number }[] = [];
  for (const tokens of [texts[0]!.slice(0, 64), ...texts]) {
    const tree = new TreeBuilder();
    tree.add({ tokens, start: 1 }, 0);
    const milliseconds = await timed(() => scoreTrees(scorer, [tree]));
    scoring.push({ milliseconds: milliseconds / tokens.length, peakBytes: peak() });
  }
  scoring.shift();
  await releaseScorer(scorer);

  const session = await openSession(buildGraph(config, "generate"), { folder });
  const costs: Cost[] = [];
  console.log(
    "| tokens | scored, ms a token | read | written | GB at most, scored | GB after writing |\n|---:|---:|---:|---:|---:|---:|",
  );
  for (const [index, tokens] of texts.entries()) {
    const times = [performance.now()];
    const isDone = () => {
      times.push(performance.now());
      return false;
    };
    await generateGreedily(session, config, [tokens], { maxNewTokens: count + 2, isDone });
    const [started = 0, first = 0] = times;
    const { milliseconds: scored, peakBytes } = scoring[index]!;
    const cost: Cost = {
      length: tokens.length,
      scored,
      read: (first - started) / tokens.length,
      written: (times.at(-1)! - first) / (times.length - 2),
      peakBytes: [peakBytes, peak()],
    };
    costs.push(cost);
    const cells = [cost.scored, cost.read, cost.written, ...cost.peakBytes.map((bytes) => bytes / 1e9)];
    console.log(`| ${cost.length} | ${cells.map((cell) => cell.toFixed(2)).join(" | ")} |`);
  }
  await session.release();
  if (values.plots !== undefined) await plot(checkpoint.name, costs, values.plots);
}

async function plot(model: string, costs: readonly Cost[], folder: string): Promise<void> {
  const xs = costs.map(({ length }) => length);
  const series = [
    { name: "scored", y: costs.map(({ scored }) => scored) },
    { name: "read as a prompt", y: costs.map(({ read }) => read) },
    { name: "written", y: costs.map(({ written }) => written) },
  ];
  const memory = costs.map(
    ({ length, peakBytes: [scoring] }) => `${(scoring / 1e9).toFixed(2)} at ${length.toLocaleString("en-US")}`,
  );
  const most = (costs.at(-1)!.peakBytes[1] / 1e9).toFixed(2);
  const all = series.flatMap(({ y }) => y);
  const figure = makeFigure({
    title: "What a token costs, by the length of the input",
    caption: `${model} on ${availableParallelism()} cores. GB of memory at most, scoring: ${memory.join(", ")}; ${most} after writing.`,
    xTitle: "tokens before it, or of the text",
    yTitle: "milliseconds a token",
    plotHeight: 260,
    left: 76,
    data: series.map(({ name, y }, i) => ({
      ...{ type: "scatter", mode: "lines+markers", name, x: xs, y, line: { color: seriesColors[i] } },
    })),
    layout: {
      xaxis: axis({ type: "log", tickmode: "array", tickvals: xs, ticktext: xs.map((x) => x.toLocaleString("en-US")) }),
      yaxis: axis({ type: "log", dtick: 1, range: [floorLog(Math.min(...all)), floorLog(Math.max(...all)) + 1] }),
    },
  });
  await writeFileAtomic(join(folder, `context-${model.split("/").at(-1)}.svg`), await figure.svg());
}

function floorLog(value: number): number {
  return Math.floor(Math.log10(value));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Tokens in no order, since costs do not depend on which they are. */
function madeUpTokens(length: number, vocabulary: number): number[] {
  let state = length;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % vocabulary;
  });
}

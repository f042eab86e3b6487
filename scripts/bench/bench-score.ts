/** `npm run bench:score`: scores one model on the card's tasks, beside lm-evaluation-harness on the same weights, threads and documents. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openMemoryMeter } from "../../kernel/runner/memory-meter.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { openCheckpoint, writeCheckpoint } from "../../src/index.ts";
import { buildGraph } from "../../src/model/graphs.ts";
import { releaseScorer, scoreTrees } from "../../src/model/score.ts";
import { TreeBuilder } from "../../src/model/token-tree.ts";
import { weightsFolder } from "../../src/model/weights.ts";
import { openSession } from "../../src/onnx/session.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { wholeFrom } from "../cli/options.ts";
import { matrixProductRate } from "./matrix-product.ts";

const cardTasks = [
  "hellaswag",
  ...[
    "abstract_algebra",
    "formal_logic",
    "high_school_computer_science",
    "high_school_mathematics",
    "professional_law",
  ].map((subject) => `mmlu_${subject}`),
];

const help = `usage: npm run bench:score -- [options]

--model <id or path>     default ${defaultModel}
--tasks <a,b>            default the card's six
--limit <n>              documents of each task; default 200
--num-fewshot <n>        default 0; not with a peer
--runs <n>               of ours, each a process of its own; default 3
--peer <script>          a Python script "MODEL OUT --tasks a,b --limit n" that runs lm-eval; started after ours, with the same weights
--python <command>       that runs it; default python3
--batch-sizes <a,b>      of the peer; default 1,8

Prints wall time and the peak of memory of each whole process (start, model and data included), how many documents both answer alike, and a profile by
operation, beside the machine's own float32 matrix product.`;

// The peer's script has its batch size written in it; this puts another one in its place on the way to lm-eval.
const withBatchSize = `
import runpy, subprocess, sys
size, script, *arguments = sys.argv[1:]
call = subprocess.call
def replaced(command, **options):
    at = command.index("--batch_size")
    return call([*command[:at + 1], size, *command[at + 2:]], **options)
subprocess.call = replaced
sys.argv = [script, *arguments]
runpy.run_path(script, run_name="__main__")
`;

explainErrors("bench:score");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: defaultModel },
    tasks: { type: "string", default: cardTasks.join() },
    limit: { type: "string", default: "200" },
    "num-fewshot": { type: "string", default: "0" },
    runs: { type: "string", default: "3" },
    peer: { type: "string" },
    python: { type: "string", default: "python3" },
    "batch-sizes": { type: "string", default: "1,8" },
    help: { type: "boolean", short: "h", default: false },
  },
});

interface Run {
  readonly seconds: number;
  readonly peakBytes: number;
  readonly folder: string;
}

/** Of ONNX Runtime's trace; microseconds. */
interface Event {
  readonly cat: string;
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

if (values.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "prunelab-bench-"));
  try {
    const threads = availableParallelism();
    console.log(
      `${values.model}, ${values.tasks}, limit ${values.limit}, ${values["num-fewshot"]}-shot; ${threads} threads`,
    );
    const rate = await matrixProductRate();
    console.log(`matrix product: ${rate.toFixed(0)} GFLOP/s (float32, ONNX Runtime, best of 10)`);
    await profile(work, rate);

    console.log("\n| | wall, s | peak memory, GB | same answers | worst log-likelihood |");
    console.log("|---|---:|---:|---:|---:|");
    const median = await medianOfOurs(work);
    console.log(`| prunelab, median of ${values.runs} | ${cells(median)} | | |`);
    if (values.peer) await comparePeer(work, values.peer, median);
  } finally {
    rmSync(work, { recursive: true });
  }
}

async function medianOfOurs(work: string): Promise<Run> {
  const runs: Run[] = [];
  const count = wholeFrom(1)(values.runs, "--runs");
  for (let run = 0; run < count; run++) {
    const folder = join(work, `ours-${run}`);
    const command = [
      "dist/scripts/cli/prunelab.js",
      "evaluate",
      "--fresh",
      "--model",
      values.model,
      "--tasks",
      values.tasks,
    ];
    command.push("--limit", values.limit, "--num-fewshot", values["num-fewshot"], "--output", folder);
    runs.push(await timed(process.execPath, command, folder));
  }
  runs.sort((a, b) => a.seconds - b.seconds);
  return runs[Math.floor(runs.length / 2)]!;
}

async function comparePeer(work: string, peer: string, ours: Run): Promise<void> {
  const model = join(work, "model");
  await writeCheckpoint(await openCheckpoint(values.model), model);
  for (const size of values["batch-sizes"].split(",")) {
    const folder = join(work, `peer-${size}`);
    const command = ["-c", withBatchSize, size, peer, model, folder, "--tasks", values.tasks, "--limit", values.limit];
    const run = await timed(values.python, command, folder);
    const { same, documents, worst } = compareAnswers(ours.folder, folder);
    console.log(
      `| lm-eval, batch size ${size} | ${cells(run)} | ${same} of ${documents} | ${worst.toExponential(1)} |`,
    );
    console.log(
      `| ratio | ${(run.seconds / ours.seconds).toFixed(2)} | ${(ours.peakBytes / run.peakBytes).toFixed(2)} | | |`,
    );
  }
}

function cells({ seconds, peakBytes }: Run): string {
  return `${seconds.toFixed(1)} | ${(peakBytes / 1e9).toFixed(2)}`;
}

async function timed(command: string, args: string[], folder: string): Promise<Run> {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors = (errors + chunk).slice(-4000);
  });
  const meter = openMemoryMeter(child.pid!);
  const code = await new Promise((resolve, reject) => child.on("exit", resolve).on("error", reject));
  const run = { seconds: (performance.now() - started) / 1000, peakBytes: meter.peakBytes() ?? 0, folder };
  meter.close();
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${errors}`);
  return run;
}

/** Documents whose likeliest choice is the same, and the largest difference of a choice's log-likelihood. */
function compareAnswers(ours: string, theirs: string): { same: number; documents: number; worst: number } {
  const mine = readSamples(ours);
  let [same, documents, worst] = [0, 0, 0];
  for (const [key, scores] of readSamples(theirs)) {
    const own = mine.get(key.replace(/^local_/, "")) ?? [];
    documents++;
    if (own.indexOf(Math.max(...own)) === scores.indexOf(Math.max(...scores))) same++;
    for (const [choice, score] of scores.entries())
      worst = Math.max(worst, Math.abs(score - (own[choice] ?? Infinity)));
  }
  return { same, documents, worst };
}

/** Each document's log-likelihoods, from the samples files below a folder, by task and number. */
function readSamples(folder: string): Map<string, number[]> {
  const samples = new Map<string, number[]>();
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const task = /(?:^|[\\/])samples_(.+)_\d{4}-\d\d-\d\dT[^\\/]*\.jsonl$/.exec(path)?.[1];
    if (task === undefined) continue;
    for (const line of readFileSync(join(folder, path), "utf8").split("\n")) {
      if (line === "") continue;
      const { doc_id: id, filtered_resps: answers } = JSON.parse(line) as {
        doc_id: number;
        filtered_resps: [string | number, unknown][];
      };
      samples.set(
        `${task} ${id}`,
        answers.map(([sum]) => Number(sum)),
      );
    }
  }
  return samples;
}

/** Where the time goes in a pack as the card's tasks have them: 4 trees of 256 tokens, of which 25 are scored. */
async function profile(work: string, rate: number): Promise<void> {
  const checkpoint = await openCheckpoint(values.model);
  const { config } = checkpoint;
  const folder = await weightsFolder(checkpoint);
  const open = (kind: "score" | "score-head") =>
    openSession(buildGraph(config, kind), { folder, profileTo: join(work, `profile-${kind}`) });
  const scorer = { config, blocks: await open("score"), head: await open("score-head") };
  const [trees, nodes, rows] = [4, 256, 25];
  const pack = Array.from({ length: trees }, (_, number) => {
    const tree = new TreeBuilder();
    const tokens = Array.from({ length: nodes + 1 }, (_, index) => 1000 * (1 + number) + index);
    tree.add({ tokens, start: nodes + 1 - rows }, 0);
    return tree;
  });
  const warm = 1;
  const runs = 5;
  for (let run = 0; run < warm; run++) await scoreTrees(scorer, pack);
  const started = performance.now();
  for (let run = 0; run < runs; run++) await scoreTrees(scorer, pack);
  const seconds = (performance.now() - started) / 1000 / runs;
  scorer.blocks.endProfiling();
  scorer.head.endProfiling();
  await releaseScorer(scorer);
  const events = readdirSync(work)
    .filter((name) => name.startsWith("profile-"))
    .flatMap((name) => JSON.parse(readFileSync(join(work, name), "utf8")) as Event[]);
  const byOperation = new Map<string, number>();
  for (const { cat, dur, args } of events) {
    if (cat !== "Node" || !args?.op_name) continue;
    byOperation.set(args.op_name, (byOperation.get(args.op_name) ?? 0) + dur / 1e6 / (warm + runs));
  }
  const total = [...byOperation.values()].reduce((sum, value) => sum + value, 0);
  const vocabulary = config.vocab_size * config.hidden_size;
  const inBlocks = [...checkpoint.tensors.values()]
    .filter(({ name, shape }) => name.startsWith("model.layers.") && shape.length === 2)
    .reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
  const operations = 2 * trees * (nodes * inBlocks + rows * vocabulary);
  console.log(
    `${trees} × ${nodes} tokens, ${rows} of each scored: ${(1000 * seconds).toFixed(0)} ms, ${(operations / seconds / 1e9).toFixed(0)} GFLOP/s of linear layers and head, ${((100 * operations) / seconds / 1e9 / rate).toFixed(0)} % of the matrix product`,
  );
  const costliest = [...byOperation].sort((a, b) => b[1] - a[1]).slice(0, 8);
  console.log(costliest.map(([name, time]) => `${name} ${((100 * time) / total).toFixed(1)} %`).join(", "));
}

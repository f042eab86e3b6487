/** `npm run bench:prune`: times selecting and zeroing half of the linear layers' weights, beside a copy of the same bytes. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Checkpoint } from "../../src/checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../../src/checkpoint/open.ts";
import { elementCount, type TensorInfo } from "../../src/checkpoint/tensor.ts";
import { writeCheckpoint } from "../../src/checkpoint/write.ts";
import { linearLayers } from "../../src/prune/options.ts";
import { allocateWeights, type Selection } from "../../src/prune/select.ts";
import { tensorsInScope } from "../../src/prune/sparsity.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { wholeFrom } from "../cli/options.ts";

const help = `usage: npm run bench:prune -- [options]

--model <path>      a checkpoint; default: normal random weights in the shapes of Gemma 3 270M
--runs <count>      of each, interleaved; default 9
--threads <count>   default ${availableParallelism()}, one per core
--peer <script>     a Python script that times the same with PyTorch, started afterwards with the model's folder
--python <command>  that runs it; default python3`;

const half = { kernel: "magnitude", pattern: "tensor", sparsity: 0.5, seed: 0 } as const;
const benchmarks: Record<string, Selection> = {
  "magnitude, tensor": half,
  "magnitude, global": { ...half, pattern: "global" },
  "magnitude, row": { ...half, pattern: "row" },
  "magnitude, 2:4": { ...half, pattern: { zeros: 2, of: 4 } },
  "random, tensor": { ...half, kernel: "random" },
};

explainErrors("bench:prune");
const { values } = parseArgs({
  options: {
    model: { type: "string" },
    runs: { type: "string", default: "9" },
    threads: { type: "string", default: String(availableParallelism()) },
    peer: { type: "string" },
    python: { type: "string", default: "python3" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await bench(values.model === undefined ? null : await openCheckpointFile(values.model));

async function bench(checkpoint: Checkpoint | null): Promise<void> {
  const threads = wholeFrom(1)(values.threads, "--threads");
  const runs = wholeFrom(1)(values.runs, "--runs");
  const infos = checkpoint ? tensorsInScope(checkpoint, linearLayers) : shapesOf270M();
  const weights = await allocateWeights(infos, { threads });
  const bytes = 2 * infos.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const random = normalWeights(2 ** 21);
  const originals: Uint16Array[] = [];
  for (const { name, shape } of infos) {
    originals.push(checkpoint ? (await checkpoint.read(name)).data : random.slice(0, elementCount(shape)));
  }

  const copies: Timing[] = [];
  const prunings = new Map(Object.keys(benchmarks).map((label): [string, Timing[]] => [label, []]));
  for (let run = 0; run < runs; run++) {
    for (const [label, selection] of Object.entries(benchmarks)) {
      const copy = () => weights.tensors.forEach(({ data }, tensor) => void data.set(originals[tensor]!));
      copies.push(await timed(copy));
      prunings.get(label)!.push(await timed(() => weights.prune(selection)));
    }
  }

  const copyMs = median(copies.map(({ wallMs }) => wallMs));
  const what = checkpoint ? checkpoint.name : "random weights";
  console.log(`${infos.length} tensors, ${(bytes / 2).toLocaleString("en-US")} bfloat16 weights in memory (${what});`);
  console.log(`${threads} threads on ${cpus().length} cores (${cpus()[0]!.model.trim()}), node ${process.version},`);
  console.log(`load ${loadavg()[0]!.toFixed(1)}; milliseconds of ${runs} runs, after one copy each\n`);
  console.log("| select and zero half | first | fastest | median | slowest | median / copy | processor time, median |");
  console.log("|---|---:|---:|---:|---:|---:|---:|");
  const row = (label: string, timings: readonly Timing[]) => {
    const wall = timings.map(({ wallMs }) => wallMs);
    const cells = [wall[0]!, Math.min(...wall), median(wall), Math.max(...wall), median(wall) / copyMs];
    const cpu = median(timings.map(({ cpuMs }) => cpuMs));
    console.log(`| ${label} | ${[...cells, cpu].map((cell) => cell.toFixed(1)).join(" | ")} |`);
  };
  row("copy of the bytes, one thread", copies);
  for (const [label, timings] of prunings) row(label, timings);

  if (values.peer === undefined) return;
  if (!checkpoint) return console.error("missing --model: the peer needs one");
  const folder = await mkdtemp(join(tmpdir(), "prunelab-bench-"));
  try {
    await writeCheckpoint(checkpoint, folder);
    console.log(`\n${values.peer}:`);
    const { error } = spawnSync(values.python, [values.peer, folder], { stdio: ["ignore", "inherit", "inherit"] });
    if (error) console.error(`cannot run ${values.python}: ${error.message}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Processor time is that of all threads together; it says more than the clock where others use the cores too. */
interface Timing {
  readonly wallMs: number;
  readonly cpuMs: number;
}

async function timed(work: () => void | Promise<void>): Promise<Timing> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wallMs: performance.now() - start, cpuMs: (user + system) / 1000 };
}

/** The 126 linear layers inside the blocks. */
function shapesOf270M(): TensorInfo[] {
  const shapes = [
    [1024, 640],
    [256, 640],
    [256, 640],
    [640, 1024],
    [2048, 640],
    [2048, 640],
    [640, 2048],
  ];
  return Array.from({ length: 18 * shapes.length }, (_, index) => ({
    name: `random.${index}`,
    shape: shapes[index % shapes.length]!,
  }));
}

/** Normally distributed, standard deviation 0.03 (Box and Muller). */
function normalWeights(count: number): Uint16Array {
  const floats = Float32Array.from(
    { length: count },
    () => 0.03 * Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()),
  );
  return Uint16Array.from(new Uint32Array(floats.buffer), (bits) => bits >>> 16);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

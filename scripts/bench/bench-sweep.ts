/** `npm run bench:sweep`: what sweeps cost beside their units: the engine, two workers against one, and growth to 10,000 units. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { openMemoryMeter } from "../../kernel/runner/memory-meter.ts";
import { builtFile, packageRoot } from "../../src/base/package-root.ts";
import { PrunelabError } from "../../src/errors.ts";
import { planSweep, planText, type Unit } from "../../src/sweep/plan.ts";
import { pushUnits, workUnits } from "../../src/sweep/queue.ts";
import { readResult, resultPath, type UnitResult } from "../../src/sweep/results.ts";
import { runSweep } from "../../src/sweep/run.ts";
import type { Study } from "../../src/sweep/study.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseLimit, parseWhole } from "../cli/options.ts";

const tiny = join(packageRoot(), "data", "tiny-gemma3");
const help = `usage: npm run bench:sweep -- [options]

--empty <n>           units without work, for the engine's milliseconds a unit; default 60
--counts <a,b>        units of plan, status and collect; default 100,1000,10000
--model <id or path>  of the units that one worker and two share; default data/tiny-gemma3
--units <n>           of them; default 24
--limit <n>           HellaSwag documents of each; default 20

Starts redis-server on loopback, keeping its log of commands on disk as advised. Prints three tables, with seconds of the processor beside
those of the clock. Needs Linux.`;

explainErrors("bench:sweep");
const { values } = parseArgs({
  options: {
    empty: { type: "string", default: "60" },
    counts: { type: "string", default: "100,1000,10000" },
    model: { type: "string", default: tiny },
    units: { type: "string", default: "24" },
    limit: { type: "string", default: "20" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const counts = values.counts.split(",").map((text) => parseWhole(text, "--counts"));
  const [empty, units] = [parseWhole(values.empty, "--empty"), parseWhole(values.units, "--units")];
  const limit = parseLimit(values.limit);
  const folder = await mkdtemp(join(tmpdir(), "prunelab-bench-sweep-"));
  const redis = await startRedis(folder);
  try {
    console.log(`${availableParallelism()} cores, load ${loadavg()[0]!.toFixed(1)}\n`);
    const result = await benchEngine(folder, redis.url, empty);
    await benchWorkers(folder, redis.url, { model: values.model, limit, units });
    await benchGrowth(folder, result, counts);
  } finally {
    redis.server.kill("SIGKILL");
    await rm(folder, { recursive: true });
  }
}

/** A study of `count` units, at most 50 sparsities of them. */
function studyOf(count: number, { model, limit }: { readonly model: string; readonly limit: number | null }): Study {
  const shares = Math.min(50, Math.ceil(count / 2));
  const sparsities = Array.from({ length: shares }, (_, index) => Number((0.05 + (0.9 * index) / shares).toFixed(3)));
  const seeds = Array.from({ length: Math.ceil(count / shares) }, (_, index) => index);
  return { model, methods: ["random"], sparsities, seeds, tasks: ["hellaswag"], limit };
}

/** Units whose results are there, so that what is left is the engine. Returns one of the results. */
async function benchEngine(folder: string, url: string, count: number): Promise<UnitResult> {
  const output = join(folder, "engine");
  const units = await planSweep(studyOf(count, { model: tiny, limit: 4 }));
  await runSweep(units.slice(0, 1), { output });
  const result = (await readResult(output, units[0]!.id)) as UnitResult;
  await rm(resultPath(output, units[0]!.id));
  const pushing = await costOf(() => pushUnits(units, { url, output }));
  await writeResults(output, units, result);
  const running = await costOf(() => runSweep(units, { output }));
  let first = 0;
  let last = 0;
  const working = await costOf(() =>
    workUnits({
      ...{ url, output, drain: true },
      onUnit: (_, ended) => {
        last = performance.now();
        if (ended === "started") first ||= last;
      },
    }),
  );
  const alone = await command(["unit", join(output, "plan.jsonl"), "--index", "0", "--output", output]);
  const row = (name: string, seconds: number, { cpu }: Cost, of: number) =>
    console.log(`| ${name} | ${((1000 * seconds) / of).toFixed(1)} | ${((1000 * cpu) / of).toFixed(1)} |`);
  console.log("| units without work | ms a unit | of the processor |\n|---|---:|---:|");
  row("sweep run", running.seconds, running, count);
  row("sweep push", pushing.seconds, pushing, count);
  row("sweep work, a process for each unit", (last - first) / 1000, working, count);
  row("sweep unit, as a cluster starts it", alone.seconds, alone, 1);
  console.log();
  return result;
}

/** The same units here, by one worker with all cores, and by two that share the cores out. */
async function benchWorkers(
  folder: string,
  url: string,
  { units: count, ...study }: { readonly model: string; readonly limit: number | null; readonly units: number },
): Promise<void> {
  const units = await planSweep(studyOf(count, study));
  const plan = join(folder, "workers.jsonl");
  await writeFile(plan, planText(units));
  const cores = availableParallelism();
  const seconds: number[] = [];
  console.log(
    `| ${count} units of ${study.model.split("/").at(-1)} | s | s a unit | of the processor |\n|---|---:|---:|---:|`,
  );
  for (const workers of [0, 1, 2]) {
    const output = join(folder, `by-${workers}`);
    // Of its own, so that no run finds another's answers.
    const cache = { PRUNELAB_CACHE: join(folder, `cache-${workers}`) };
    const words = ["--output", output, "--queue", url, "--drain", "--threads", String(Math.ceil(cores / workers))];
    if (workers > 0) await pushUnits(units, { url, output });
    const { seconds: taken, cpu } = await costOf(() =>
      Promise.all(
        workers === 0
          ? [command(["run", plan, "--output", output], cache)]
          : Array.from({ length: workers }, () => command(["work", ...words], cache)),
      ),
    );
    seconds.push(taken);
    const name =
      workers === 0 ? "sweep run" : `${workers} worker${workers > 1 ? "s" : ""}, ${words.at(-1)} threads each`;
    console.log(`| ${name} | ${taken.toFixed(1)} | ${(taken / count).toFixed(2)} | ${(cpu / count).toFixed(2)} |`);
  }
  console.log(`\ntwo workers do ${(seconds[1]! / seconds[2]!).toFixed(2)} times what one does\n`);
}

async function benchGrowth(folder: string, result: UnitResult, counts: readonly number[]): Promise<void> {
  const steps = ["plan", "status", "collect"] as const;
  console.log(
    `| units | ${steps.map((step) => `${step}, s | of the processor | GB`).join(" | ")} |\n|---:|${"---:|---:|---:|".repeat(steps.length)}`,
  );
  for (const count of counts) {
    const output = join(folder, `growth-${count}`);
    const [study, plan] = [join(folder, "growth.yaml"), join(folder, "growth.jsonl")];
    // JSON is YAML.
    await writeFile(study, JSON.stringify(studyOf(count, { model: tiny, limit: 4 })));
    const cells: string[] = [];
    for (const step of steps) {
      const words = step === "plan" ? [study] : [plan, "--output", output];
      const taken = await command([step, ...words], {}, step === "plan" ? plan : undefined);
      cells.push(taken.seconds.toFixed(2), taken.cpu.toFixed(2), (taken.bytes / 1e9).toFixed(2));
      if (step !== "plan") continue;
      const units = (await readFile(plan, "utf8")).trimEnd().split("\n");
      await writeResults(
        output,
        units.map((line) => JSON.parse(line) as Unit),
        result,
        join(folder, "engine"),
      );
    }
    console.log(`| ${count.toLocaleString("en-US")} | ${cells.join(" | ")} |`);
    await rm(output, { recursive: true });
  }
}

/** The result of one unit as that of each, with lm-eval's files of its own where these are in `source`. */
async function writeResults(
  output: string,
  units: readonly Unit[],
  result: UnitResult,
  source?: string,
): Promise<void> {
  await mkdir(join(output, "results"), { recursive: true });
  for (const [name, path] of source ? filesOf(result) : []) {
    await mkdir(join(output, "results", "files"), { recursive: true });
    await writeFile(join(output, "results", "files", name), await readFile(join(source!, path)));
  }
  const samples = Object.fromEntries(Object.keys(result.files!.samples).map((task) => [task, `results/files/${task}`]));
  const files = source ? { results: "results/files/results", samples } : result.files;
  for (const unit of units) {
    await writeFile(
      resultPath(output, unit.id),
      `${JSON.stringify({ ...result, id: unit.id, unit, files }, null, 1)}\n`,
    );
  }
}

function filesOf({ files }: UnitResult): (readonly [name: string, path: string])[] {
  return [["results", files!.results], ...Object.entries(files!.samples)];
}

interface Cost {
  readonly seconds: number;
  /** Seconds of the processor, of this process and those that it waited for: what is left of a time when others work on the machine. */
  readonly cpu: number;
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const [started, before] = [performance.now(), processorSeconds()];
  await work();
  return { seconds: (performance.now() - started) / 1000, cpu: processorSeconds() - before };
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: utime, stime, cutime and cstime, in hundredths. */
function processorSeconds(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ");
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / 100;
}

/** Runs a command of `prunelab sweep` to its end. */
async function command(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdout?: string,
): Promise<Cost & { readonly bytes: number }> {
  const program = builtFile("scripts/cli/prunelab.js");
  const [started, before] = [performance.now(), processorSeconds()];
  const child = spawn(process.execPath, [program, "sweep", ...words], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const meter = openMemoryMeter(child.pid!);
  let told = "";
  child.stderr.on("data", (chunk: Buffer) => {
    told += chunk.toString();
  });
  if (stdout) child.stdout.pipe(createWriteStream(stdout));
  else child.stdout.resume();
  let bytes = 0;
  const timer = setInterval(() => {
    bytes = Math.max(bytes, meter.peakBytes() ?? 0);
  }, 20);
  const [code] = (await once(child, "close")) as [number | null];
  clearInterval(timer);
  meter.close();
  if (code !== 0) throw new PrunelabError(`prunelab sweep ${words.join(" ")}: exit code ${code}: ${told.trim()}`);
  return { seconds: (performance.now() - started) / 1000, cpu: processorSeconds() - before, bytes };
}

async function startRedis(folder: string): Promise<{ readonly server: ChildProcess; readonly url: string }> {
  const place = createServer().listen(0, "127.0.0.1");
  await once(place, "listening");
  const { port } = place.address() as { port: number };
  place.close();
  const words = ["--port", String(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--dir", folder];
  const server = spawn("redis-server", words, { stdio: "ignore" });
  const failed = once(server, "exit").catch((error: unknown) => [error]);
  if (await Promise.race([failed, sleep(1_000)])) {
    throw new PrunelabError("cannot start redis-server; install it, e.g. apt-get install redis-server");
  }
  return { server, url: `redis://127.0.0.1:${port}` };
}

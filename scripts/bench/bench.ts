/** `npm run bench`: the main job several times over, each run a process of its own, beside the machine's own matrix product. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { duration } from "../../src/base/duration.ts";
import { PrunelabError } from "../../src/errors.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { wholeFrom } from "../cli/options.ts";
import { matrixProductRate } from "./matrix-product.ts";

const help = `usage: npm run bench -- [--runs <n>] [options of prunelab card]

Runs the main job n times (default 3) with everything scored anew, and prints the median of each step and of the memory's peak,
and this machine's float32 matrix product by ONNX Runtime, which bounds what scoring can reach.`;

explainErrors("bench");

interface Run {
  readonly seconds: Readonly<Record<string, number>>;
  readonly peakBytes: number;
}

async function main(args: string[]): Promise<void> {
  const { values, tokens } = parseArgs({
    args,
    strict: false,
    tokens: true,
    options: { runs: { type: "string", default: "3" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) return console.log(help);
  const count = wholeFrom(1)(String(values.runs), "--runs");
  const passedOn = tokens.flatMap((token) =>
    token.kind === "option" && token.name !== "runs"
      ? [token.rawName, ...(token.value === undefined ? [] : [token.value])]
      : token.kind === "positional"
        ? [token.value]
        : [],
  );

  console.log(`${availableParallelism()} cores, Node ${process.version}`);
  console.log(`matrix product  ${(await matrixProductRate()).toFixed(0)} GFLOP/s (float32, ONNX Runtime, best of 10)`);
  const output = mkdtempSync(join(tmpdir(), "prunelab-bench-"));
  const runs: Run[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const command = ["dist/scripts/cli/prunelab.js", "card", "--fresh", "--output", output, ...passedOn];
      const { status } = spawnSync(process.execPath, command, { stdio: ["ignore", "ignore", "inherit"] });
      if (status !== 0) throw new PrunelabError(`run ${i + 1} of ${count} failed: exit code ${status}; see above`);
      runs.push(JSON.parse(readFileSync(join(output, "run.json"), "utf8")) as Run);
    }
  } finally {
    rmSync(output, { recursive: true });
  }

  const row = (name: string, read: (run: Run) => number, show: (value: number) => string) => {
    const sorted = runs.map(read).sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)]!;
    console.log(`${name.padEnd(14)}  median ${show(median)}, from ${show(sorted[0]!)} to ${show(sorted.at(-1)!)}`);
  };
  for (const step of Object.keys(runs[0]?.seconds ?? {})) row(step, ({ seconds }) => seconds[step]!, duration);
  row("all", ({ seconds }) => Object.values(seconds).reduce((sum, value) => sum + value, 0), duration);
  row(
    "memory's peak",
    ({ peakBytes }) => peakBytes / 1e9,
    (value) => `${value.toFixed(2)} GB`,
  );
}

await main(process.argv.slice(2));

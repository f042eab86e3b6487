import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../../src/base/testing.test-helper.ts";
import type { Checkpoint } from "../../src/checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../../src/checkpoint/open.ts";
import { PrunelabError } from "../../src/errors.ts";
import { maskRefinements, type PruneOptions, prune, pruningMethods } from "../../src/index.ts";
import { sparsityReport } from "../../src/prune/sparsity.ts";
import { runCommand, UsageError } from "./command.ts";
import { prune as pruneCommand } from "./prune.ts";

const runPrune = (args: string[]) => runCommand("prune", pruneCommand, args);

const folder = await mkdtemp(join(tmpdir(), "prunelab-prune-command-"));
process.env.PRUNELAB_CACHE = join(folder, "cache");
test.after(() => rm(folder, { recursive: true }));
const text = join(folder, "text.txt");
await writeFile(text, "Pruning removes the weights that matter least, and what is left must do the work. ".repeat(40));
const other = join(folder, "other.jsonl");
await writeFile(
  other,
  JSON.stringify({ text: "Many windows of another text, for half of the calibration. ".repeat(40) }),
);
const calibrated = ["--calibration", text, "--windows", "3", "--window-length", "24"];

/** What the command prints, and the model that it wrote. */
async function run(t: test.TestContext, ...args: string[]): Promise<{ printed: string; model: Checkpoint }> {
  const output = await mkdtemp(join(folder, "out-"));
  const log = t.mock.method(console, "log", () => {});
  const stream = t.mock.method(process.stderr, "write", () => true);
  await runPrune(["--model", tinyModel, "--output", output, ...args]).finally(() => stream.mock.restore());
  log.mock.restore();
  const printed = log.mock.calls.map(({ arguments: [line] }) => line).join("\n");
  assert.ok(printed.endsWith(`\n${output}`), printed);
  return { printed, model: await openCheckpointFile(output) };
}

async function assertSameWeights(seen: Checkpoint, expected: Checkpoint): Promise<void> {
  for (const name of expected.tensors.keys()) {
    assert.deepEqual((await seen.read(name)).data, (await expected.read(name)).data, name);
  }
}

test("half of the weights by magnitude, unless told otherwise", async (t) => {
  const { printed, model } = await run(t);
  assert.match(printed, /weights in scope are zero \(50\.0 %\)/);
  await assertSameWeights(
    model,
    await prune(await openCheckpointFile(tinyModel), { method: "magnitude", sparsity: 0.5 }),
  );
});

test("every option means what the library means by it", async (t) => {
  const calibration = { source: text, windows: 3, tokens: 24, seed: 0 };
  const asked: [string[], PruneOptions][] = [
    [["--method", "random", "--seed", "3", "--sparsity", "0.25"], { method: "random", seed: 3, sparsity: 0.25 }],
    [
      ["--sparsity", "0.4", "--pattern", "global", "--scope", "down_proj"],
      { method: "magnitude", sparsity: 0.4, pattern: "global", scope: "down_proj" },
    ],
    [["--method", "wanda", ...calibrated], { method: "wanda", sparsity: 0.5, calibration }],
    [
      ["--method", "wanda", ...calibrated, "--calibration", other, "--no-bos", "--seed", "5"],
      {
        method: "wanda",
        sparsity: 0.5,
        calibration: { ...calibration, source: [text, other], seed: 5, countBos: false },
      },
    ],
    [
      ["--budgets", "owl", "--refine", "swaps", "--pattern", "row", ...calibrated],
      { method: "magnitude", sparsity: 0.5, pattern: "row", budgets: "owl", refine: "swaps", calibration },
    ],
    [
      ["--method", "ria", "--refine", "dsnot", "--reconstruct", ...calibrated],
      { method: "ria", sparsity: 0.5, refine: "dsnot", reconstruct: true, calibration },
    ],
  ];
  asked.push([
    ["--method", "sparsegpt", "--quantize", "4", ...calibrated],
    { method: "sparsegpt", sparsity: 0.5, quantize: { bits: 4 }, calibration },
  ]);
  const dense = await openCheckpointFile(tinyModel);
  const digests = new Set<string>();
  for (const [args, options] of asked) {
    const { model } = await run(t, ...args);
    const expected = await prune(dense, options);
    await assertSameWeights(model, expected);
    digests.add(await expected.digest());
  }
  // No option is without effect.
  assert.equal(digests.size, asked.length);
});

test("2:4 leaves two of every four weights, by every method", async (t) => {
  for (const { name: method, needs } of pruningMethods) {
    const args = ["--method", method, "--pattern", "2:4", ...(needs === "nothing" ? [] : calibrated)];
    const { printed, model } = await run(t, ...args);
    assert.match(printed, /weights in scope are zero \(50\.0 %\)/);
    for (const { name } of (await sparsityReport(model)).tensors) {
      const { data } = await model.read(name);
      for (let from = 0; from < data.length; from += 4) {
        const zeros = data.subarray(from, from + 4).filter((bits) => (bits & 0x7fff) === 0).length;
        assert.equal(zeros, 2, `${method} ${name} ${from}`);
      }
    }
  }
});

test("progress of a calibrated run counts the blocks", async (t) => {
  const stream = t.mock.method(process.stderr, "write", () => true);
  t.mock.method(console, "log", () => {});
  const output = join(folder, "progress");
  await runPrune(["--model", tinyModel, "--output", output, "--method", "wanda", "--sparsity", "0.3", ...calibrated]);
  stream.mock.restore();
  assert.match(stream.mock.calls.map(({ arguments: [line] }) => line).join(""), /prune by wanda .*of \d/);
});

test("tells its usage; mistakes are told before the model is opened", async (t) => {
  const log = t.mock.method(console, "log", () => {});
  await runPrune(["--help"]);
  log.mock.restore();
  const help = log.mock.calls.map(({ arguments: [line] }) => line).join("\n");
  assert.match(help, /^usage: prunelab prune --output/);
  for (const { name, summary, source } of [...pruningMethods, ...maskRefinements]) {
    assert.ok(help.includes(`  ${name} `) && help.includes(`${summary} (${source})`), name);
  }
  const refused = async (args: string[], message: RegExp) => {
    await assert.rejects(
      runPrune(["--model", join(folder, "none"), "--output", join(folder, "never"), ...args]),
      (error) => {
        assert.ok(error instanceof PrunelabError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
  };
  await assert.rejects(runPrune([]), /^PrunelabError: missing --output/);
  await assert.rejects(runPrune(["--widnows", "3"]), (error) => {
    assert.ok(error instanceof UsageError);
    assert.equal(error.message, "unknown option '--widnows'; did you mean --windows?");
    return true;
  });
  await refused(
    ["--method", "wander"],
    /^unknown pruning method: wander; choose one of magnitude, random, wanda, ria, sparsegpt, admm$/,
  );
  await refused(
    ["--pattern", "diagonal"],
    /^unknown pruning pattern: diagonal; choose tensor, row, global or n:m such as 2:4$/,
  );
  await refused(["--sparsity", "2"], /^invalid --sparsity; a number in \[0, 1\): 2$/);
  await refused(["--output", "/proc/x"], /^cannot write \/proc\/x: the folder is not there and cannot be made/);
  await refused(["--sparsity", "half"], /^invalid --sparsity; a number in \[0, 1\): half$/);
  await refused(["--pattern", "2:4", "--sparsity", "0.4"], /^sparsity does not fit the pattern: 0\.4 with 2:4/);
  await refused(["--device", "tpu"], /^unknown device: tpu; choose one of cpu, webgpu, cuda, dml, coreml$/);
  await refused(["--budgets", "fair"], /^unknown layer budgets: fair; choose one of uniform, owl, or give sparsities/);
  await refused(["--budgets", '{"k_proj":'], /^not valid JSON: --budgets: /);
  await refused(["--refine", "more"], /^unknown mask refinement: more; choose one of dsnot, swaps$/);
  await refused(["--method", "wanda", "--windows", "few"], /^invalid --windows; a whole number: few$/);
  await refused(
    ["--method", "wanda", "--pattern", "global"],
    /not with the pattern: global; choose tensor, row or n:m$/,
  );
  await refused(
    ["--windows", "3"],
    /^nothing to calibrate; magnitude looks at weights alone: --windows; leave it out or choose e\.g\. --method wanda$/,
  );
  await refused(["--method", "random", "--no-bos"], /^nothing to calibrate; random looks at weights alone: --no-bos/);
});

test("a calibration text that is missing or too short is told", async () => {
  const run = (...args: string[]) => runPrune(["--model", tinyModel, "--output", join(folder, "never"), ...args]);
  await assert.rejects(run("--method", "wanda", "--calibration", join(folder, "none.txt"), "--window-length", "256"), {
    name: "PrunelabError",
    message: /^cannot read calibration text: .*none\.txt/,
  });
  await assert.rejects(run("--method", "wanda", "--calibration", text, "--window-length", "256"), {
    name: "PrunelabError",
    message:
      /^too little text to calibrate: .*text\.txt fills \d+ of 64 windows of 256 tokens; choose fewer or shorter/,
  });
  await assert.rejects(run("--method", "wanda", ...calibrated, "--windows", "0"), {
    name: "PrunelabError",
    message: /^invalid calibration\.windows: 0/,
  });
});

test("an output that would overwrite the model or cannot be written is refused before the work", async () => {
  const own = join(folder, "own");
  await runPrune(["--model", tinyModel, "--output", own]);
  const refused = (output: string, message: RegExp, model = own) =>
    assert.rejects(runPrune(["--model", model, "--output", output]), { name: "PrunelabError", message });
  await refused(own, /^--output is where the model itself lies: .*own; name another folder$/);
  await refused(own, /^--output is where the model itself lies/, join(own, "model.safetensors"));
  await refused("", /^missing --output; name the folder to write$/);
  await refused(
    join(own, "config.json"),
    /^cannot write .*config\.json: a file is in the way of a folder/,
    "/no/such/model",
  );
});

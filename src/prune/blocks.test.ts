import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync, truncateSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { cacheFolder } from "../hub/cache-folder.ts";
import { embedWindows, openBlock, readBlock } from "../model/run-block.ts";
import type { CalibrationOptions } from "./calibration.ts";
import { maskDifference } from "./mask.ts";
import { pruningMethods } from "./methods/methods.ts";
import type { PruneOptions } from "./options.ts";
import { prune } from "./prune.ts";

const tokenIds = [1, 2, 3, 4].map((seed) =>
  Array.from({ length: 24 }, (_, i) => (i === 0 ? 2 : 4 + ((i * 7919 * seed) % 500))),
);
const calibration: CalibrationOptions = { tokenIds };
const previousCache = process.env.PRUNELAB_CACHE;
let dense: Checkpoint;
before(async () => {
  process.env.PRUNELAB_CACHE = await mkdtemp(join(tmpdir(), "prunelab-blocks-"));
  dense = await openCheckpointFile(tinyModel);
});
after(async () => {
  await rm(process.env.PRUNELAB_CACHE!, { recursive: true });
  if (previousCache === undefined) delete process.env.PRUNELAB_CACHE;
  else process.env.PRUNELAB_CACHE = previousCache;
});

/** A checkpoint with some tensors made anew. */
function changed(name: string, change: (tensor: string, data: Uint16Array) => Uint16Array): Checkpoint {
  return {
    ...dense,
    digest: async () => name,
    read: async (tensor) => {
      const read = await dense.read(tensor);
      return { ...read, data: change(tensor, read.data.slice()) };
    },
  };
}

test("wanda's first block: the lowest of |w| times the input's norm in each row", async () => {
  const pruned = await prune(dense, { method: "wanda", sparsity: 0.5, calibration });
  const block = openBlock(dense.config, ["input.mlp.down_proj"]);
  const columns = dense.config.intermediate_size;
  const squares = new Float64Array(columns);
  await block.run(0, await readBlock(dense, 0), await embedWindows(dense, tokenIds), (outputs) => {
    for (const [index, x] of outputs["input.mlp.down_proj"]!.entries()) squares[index % columns]! += x * x;
  });
  const name = "model.layers.0.mlp.down_proj.weight";
  const [before, now] = [await dense.read(name), await pruned.read(name)].map(({ data }) => bf16ToFloat32(data));
  for (let from = 0; from < now!.length; from += columns) {
    const row = [...squares.keys()].map((column) => ({
      score: Math.abs(before![from + column]!) * Math.sqrt(squares[column]!),
      kept: now![from + column] !== 0,
    }));
    const kept = row.filter(({ kept }) => kept);
    assert.equal(kept.length, columns / 2);
    const highestGone = Math.max(...row.filter(({ kept }) => !kept).map(({ score }) => score));
    assert.ok(Math.min(...kept.map(({ score }) => score)) >= highestGone * (1 - 1e-5));
  }
  assert.deepEqual(
    [...now!].filter(Boolean),
    [...before!].filter((_, index) => now![index] !== 0),
  );
});

test("a later block is measured with its predecessors pruned", async () => {
  const scope = /layers\.1\.mlp\.up_proj/;
  const alone = await prune(dense, { method: "wanda", sparsity: 0.5, calibration, scope });
  const after = await prune(dense, {
    method: "wanda",
    sparsity: 0.5,
    calibration,
    scope: /layers\.(0\..*_proj|1\.mlp\.up_proj)/,
  });
  const name = "model.layers.1.mlp.up_proj.weight";
  assert.notDeepEqual((await alone.read(name)).data, (await after.read(name)).data);
  assert.equal(alone.report.scope.zeros, alone.report.scope.count / 2);
});

const combinations: PruneOptions[] = [
  { method: "wanda", sparsity: 0.5 },
  { method: "wanda", pattern: "2:4" },
  { method: "ria", sparsity: 0.3 },
  { method: "ria", sparsity: 0.5, pattern: "row" },
  { method: "sparsegpt", sparsity: 0.5 },
  { method: "sparsegpt", pattern: "2:4" },
  { method: "admm", sparsity: 0.5, pattern: "row" },
  { method: "magnitude", pattern: "2:4", refine: "swaps", reconstruct: true },
  { method: "wanda", sparsity: 0.5, refine: "dsnot" },
];

test("every method and pattern gives its exact count, with or without BOS in the norms, and the same when asked again", async () => {
  for (const options of combinations) {
    for (const countBos of [true, false]) {
      const asked = { ...options, calibration: { ...calibration, countBos } };
      const pruned = await prune(dense, asked);
      for (const { name, count, zeros } of pruned.report.tensors) {
        assert.equal(zeros, Math.round(count * (options.sparsity ?? 0.5)), `${pruned.name} ${name}`);
      }
      assert.equal(await (await prune(dense, asked)).digest(), await pruned.digest());
    }
  }
});

test("owl's budgets differ by block and add up to the sparsity asked for; what they rest on is kept", async () => {
  const options: PruneOptions = { method: "magnitude", sparsity: 0.5, budgets: "owl", calibration };
  const { report, name } = await prune(dense, options);
  assert.match(name, /-magnitude-50-owl$/);
  const sparsities = report.layers.map(({ sparsity }) => sparsity);
  assert.ok(Math.max(...sparsities) - Math.min(...sparsities) > 0.1);
  assert.ok(Math.abs(report.scope.sparsity - 0.5) < 1e-3);
  const measured: string[] = [];
  await prune(dense, { ...options, method: "wanda", onProgress: ({ step }) => measured.push(step) });
  assert.deepEqual([...new Set(measured)], ["prune by wanda"]);
});

test("budgets by name hold for the tensors named, and the whole is as sparse as asked for", async () => {
  const options: PruneOptions = { method: "wanda", sparsity: 0.5, budgets: { "[kv]_proj": 0.25 }, calibration };
  const { report, name } = await prune(dense, options);
  assert.match(name, /-wanda-row-50-budgets-[0-9a-f]{8}$/);
  for (const { name, sparsity } of report.tensors) {
    assert.ok(/[kv]_proj/.test(name) ? Math.abs(sparsity - 0.25) < 0.02 : sparsity > 0.5, `${name} ${sparsity}`);
  }
  assert.ok(Math.abs(report.scope.sparsity - 0.5) < 0.01);
});

test("sparsity 0 leaves the weights as they are", async () => {
  for (const options of combinations.filter(({ pattern }) => pattern !== "2:4")) {
    const pruned = await prune(dense, { ...options, sparsity: 0, calibration });
    for (const { name } of pruned.report.tensors) {
      assert.deepEqual((await pruned.read(name)).data, (await dense.read(name)).data, `${pruned.name} ${name}`);
    }
  }
});

/** Stops a run in block 1 and returns what a second call then makes of `dense`. */
async function resumed(options: PruneOptions, resumedFrom = dense): Promise<Checkpoint> {
  const onProgress: PruneOptions["onProgress"] = ({ done }) => {
    if (done === 1) throw new Error("killed");
  };
  await assert.rejects(prune(dense, { ...options, onProgress }), /killed/);
  const files = await readdir(cacheFolder("pruning"), { recursive: true });
  assert.ok(files.some((file) => file.endsWith("block-0.safetensors")));
  const pruned = await prune(resumedFrom, options);
  await rm(cacheFolder("pruning"), { recursive: true });
  return pruned;
}

test("a stopped run goes on at the block it had reached, to the same end; a finished one is not run again", async () => {
  const options: PruneOptions = { method: "sparsegpt", sparsity: 0.4, calibration };
  // Were block 0 pruned again, it would be from other weights now.
  const spoilt = changed("", (name, data) => (/layers\.0\..*_proj/.test(name) ? data.fill(0x3f80) : data));
  const second = await resumed(options, { ...spoilt, digest: () => dense.digest() });
  const whole = await prune(dense, options);
  assert.equal(await second.digest(), await whole.digest());

  const steps: number[] = [];
  await prune(dense, { ...options, onProgress: ({ done }) => steps.push(done) });
  assert.deepEqual(steps, []);
});

test("a run that is killed goes on at its block when it is asked for again", async () => {
  const options: PruneOptions = { method: "wanda", sparsity: 0.35, calibration };
  const source = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const script = `
    const { openCheckpointFile } = await import(${source("../checkpoint/open.ts")});
    const { prune } = await import(${source("prune.ts")});
    const onProgress = ({ done }) => void (done === 1 && process.kill(process.pid, "SIGKILL"));
    await prune(await openCheckpointFile(${JSON.stringify(tinyModel)}), { ...${JSON.stringify(options)}, onProgress });
  `;
  const { signal } = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script]);
  assert.equal(signal, "SIGKILL");
  const seen: number[] = [];
  // Were block 0 pruned again, it would be from other weights now.
  const spoilt = changed("", (name, data) => (/layers\.0\..*_proj/.test(name) ? data.fill(0x3f80) : data));
  const resumedFrom = { ...spoilt, digest: () => dense.digest() };
  const second = await prune(resumedFrom, { ...options, onProgress: ({ done }) => seen.push(done) });
  assert.ok(seen.length > 0);
  await rm(cacheFolder("pruning"), { recursive: true });
  assert.equal(await second.digest(), await (await prune(dense, options)).digest());
});

test("pruned and quantized together: fewer values, under a name of its own, the dense model too", async () => {
  const options: PruneOptions = { method: "sparsegpt", sparsity: 0.5, quantize: { bits: 4 }, calibration };
  const rounded = await prune(dense, options);
  assert.match(rounded.name, /-sparsegpt-50-q4$/);
  assert.match(
    (await prune(dense, { ...options, sparsity: 0, quantize: { bits: 8, blockSize: 16 } })).name,
    /-0-q8x16$/,
  );
  const name = "model.layers.1.mlp.down_proj.weight";
  const { data } = await rounded.read(name);
  assert.ok(data.filter((bits) => (bits & 0x7fff) === 0).length >= data.length / 2);
  for (let from = 0; from < data.length; from += 32) {
    const magnitudes = new Set(data.subarray(from, from + 32).map((bits) => bits & 0x7fff));
    assert.ok(magnitudes.size <= 8, `${magnitudes.size}`);
  }
});

test("a run that is aborted throws the reason between blocks, keeps what is done and goes on from there", async () => {
  const options: PruneOptions = { method: "wanda", sparsity: 0.55, calibration };
  for (const stopAt of [0, 2]) {
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress: PruneOptions["onProgress"] = ({ done }) => void (done === stopAt && controller.abort(reason));
    await assert.rejects(prune(dense, { ...options, signal: controller.signal, onProgress }), reason);
  }
  const seen: number[] = [];
  const whole = await prune(dense, { ...options, onProgress: ({ done }) => seen.push(done) });
  assert.equal(whole.report.scope.sparsity > 0.5, true);
  const blocks = readdirSync(cacheFolder("pruning"), { recursive: true, encoding: "utf8" });
  assert.ok(blocks.some((file) => file.endsWith("block-6.safetensors")));
  await assert.rejects(prune(dense, { ...options, signal: AbortSignal.abort(new Error("before")) }), /^Error: before$/);
  const owl: PruneOptions = {
    method: "magnitude",
    sparsity: 0.55,
    budgets: "owl",
    calibration: { tokenIds: [[2, 5, 6, 7]] },
  };
  const controller = new AbortController();
  const onProgress: PruneOptions["onProgress"] = ({ step }) => {
    assert.equal(step, "measure the dense model");
    controller.abort(new Error("while measuring"));
  };
  await assert.rejects(prune(dense, { ...owl, signal: controller.signal, onProgress }), /while measuring/);
});

const skipWithoutGpu = process.env.VK_ICD_FILENAMES
  ? false
  : "set VK_ICD_FILENAMES to SwiftShader's vk_swiftshader_icd.json";
test("calibration on webgpu leaves the CPU's mask but for 1 weight in 100,000", { skip: skipWithoutGpu }, async () => {
  // Methods that fit weights carry one weight's flip through the rest of its row and all later blocks, so here they are asked for one block.
  const scope = /layers\.0\..*_proj/;
  const runs: PruneOptions[] = [
    { method: "wanda", sparsity: 0.5 },
    { method: "ria", sparsity: 0.5, pattern: "row", scope },
    { method: "sparsegpt", pattern: "2:4", scope },
    { method: "admm", sparsity: 0.5, scope },
  ];
  for (const options of runs) {
    const notices: string[] = [];
    const onNotice = (line: string) => notices.push(line);
    const onGpu = await prune(dense, { ...options, device: "webgpu", calibration, onNotice });
    const onCpu = await prune(dense, { ...options, calibration });
    assert.deepEqual(notices, []);
    const rows = await maskDifference(onCpu, onGpu);
    const apart = rows.reduce((sum, { onlyA, onlyB }) => sum + Math.max(onlyA, onlyB), 0);
    const count = rows.reduce((sum, row) => sum + row.count, 0);
    assert.ok(apart <= count / 100_000, `${onGpu.name}: ${apart} of ${count}`);
    // Sums in another order: the run was not taken from the CPU's.
    if (options.method === "sparsegpt") assert.notEqual(await onGpu.digest(), await onCpu.digest());
  }
});

test("without its device a run says so once and ends as on the CPU", async () => {
  const device = process.platform === "darwin" ? "dml" : "coreml";
  const notices: string[] = [];
  const options: PruneOptions = { method: "wanda", sparsity: 0.5, calibration };
  const seen = await prune(dense, { ...options, device, onNotice: (line) => notices.push(line) });
  assert.equal(await seen.digest(), await (await prune(dense, options)).digest());
  assert.match(
    notices.join("\n"),
    new RegExp(`^calibrating on the CPU: device is not there: ${device}: not on [^\n]*$`),
  );
});

test("fewer tokens than columns, so that Gram matrices are singular: exact counts, finite weights", async () => {
  for (const options of combinations) {
    const pruned = await prune(dense, { ...options, calibration: { tokenIds: [[2, 7, 9]] } });
    for (const { name, count, zeros } of pruned.report.tensors) {
      assert.equal(zeros, Math.round(count * (options.sparsity ?? 0.5)), `${pruned.name} ${name}`);
      assert.ok(bf16ToFloat32((await pruned.read(name)).data).every(Number.isFinite), `${pruned.name} ${name}`);
    }
  }
});

test("inputs that are all zero: exact counts still", async () => {
  const blind = changed("blind", (name, data) => (name === "model.embed_tokens.weight" ? data.fill(0) : data));
  for (const options of combinations) {
    const { report } = await prune(blind, { ...options, calibration });
    assert.equal(
      report.scope.zeros,
      report.tensors.reduce((sum, { count }) => sum + Math.round(count * (options.sparsity ?? 0.5)), 0),
    );
  }
});

test("weights of one value, a dead column: exact counts still", async () => {
  const flat = changed("flat", (name, data) => {
    if (name.endsWith("1.mlp.down_proj.weight")) return data.fill(0x3f80);
    // a gate that is 0 leaves a column of down_proj without input
    return name.endsWith("0.mlp.gate_proj.weight") ? data.fill(0, 0, 2 * dense.config.hidden_size) : data;
  });
  for (const options of combinations) {
    const { report } = await prune(flat, { ...options, calibration, scope: /down_proj/ });
    for (const { count, zeros } of report.tensors) assert.equal(zeros, Math.round(count * (options.sparsity ?? 0.5)));
  }
});

test("inputs that are not finite are named", async () => {
  const broken = changed("broken", (name, data) =>
    name.endsWith("1.self_attn.v_proj.weight") ? data.fill(0x7fc0) : data,
  );
  for (const method of ["wanda", "sparsegpt"] as const) {
    await assert.rejects(prune(broken, { method, sparsity: 0.5, calibration }), {
      name: "PrunelabError",
      message: /^inputs are not finite: model\.layers\.1\.self_attn\.o_proj: column 0; check the checkpoint's weights$/,
    });
  }
});

test("a block of the cache that was damaged is pruned again", async () => {
  const options: PruneOptions = { method: "wanda", sparsity: 0.45, calibration };
  const before = await prune(dense, options);
  const pruning = cacheFolder("pruning");
  const newest = readdirSync(pruning)
    .filter((name) => existsSync(join(pruning, name, "block-1.safetensors")))
    .sort((a, b) => statSync(join(pruning, b)).mtimeMs - statSync(join(pruning, a)).mtimeMs)[0]!;
  truncateSync(join(pruning, newest, "block-1.safetensors"), 100);
  assert.equal(await (await prune(dense, options)).digest(), await before.digest());
});

test("owl shares out the sparsity among the blocks in scope", async () => {
  const { report } = await prune(dense, {
    ...{ method: "wanda", pattern: "tensor", sparsity: 0.5, budgets: "owl", calibration },
    scope: /layers\.[13]\.mlp/,
  });
  assert.ok(Math.abs(report.scope.sparsity - 0.5) < 1e-3, String(report.scope.sparsity));
});

test("what cannot be asked for is refused in words", async () => {
  const refused = async (options: object, message: RegExp) => {
    await assert.rejects(prune(dense, options as PruneOptions), { name: "PrunelabError", message });
  };
  const wanda = { method: "wanda", sparsity: 0.5, calibration };
  await refused(
    { ...wanda, method: "wands" },
    new RegExp(`unknown pruning method: wands; choose one of ${pruningMethods.map(({ name }) => name).join(", ")}`),
  );
  await refused({ ...wanda, pattern: "column" }, /unknown pruning pattern: column; choose/);
  await refused({ ...wanda, pattern: "global" }, /not with the pattern: global; choose tensor, row or n:m/);
  await refused({ ...wanda, sparsity: undefined, pattern: "3:7" }, /rows are not divisible by 7: /);
  await refused({ ...wanda, scope: /norm/ }, /not a linear layer inside a block.*: model\.layers\.0\./);
  await refused({ ...wanda, budgets: "fair" }, /unknown layer budgets: fair; choose one of uniform, owl/);
  await refused({ ...wanda, refine: "more" }, /unknown mask refinement: more; choose one of/);
  await refused(
    { ...wanda, sparsity: undefined, pattern: "2:4", refine: "dsnot" },
    /dsnot .*not with the pattern: 2:4; choose swaps/,
  );
  await refused(
    { ...wanda, sparsity: undefined, pattern: "2:4", budgets: "owl" },
    /budgets need .*not with the pattern: 2:4/,
  );
  for (const budgets of [null, 0.5]) await refused({ ...wanda, budgets }, /unknown layer budgets: (null|0\.5);/);
  await refused({ ...wanda, budgets: { "k_proj(": 0.5 } }, /invalid budgets; not a regular expression: k_proj\(/);
  await refused({ ...wanda, budgets: { k_proj: 1 } }, /invalid sparsity of k_proj; not a number in \[0, 1\): 1/);
  await refused(
    { ...wanda, budgets: { none: 0.1 }, calibration: { source: "/no/such/file.txt" } },
    /budget matches no tensor in scope: none/,
  );
  await refused({ ...wanda, budgets: { gate: 0.1 }, sparsity: 0.9 }, /would need 1\.\d+; choose budgets nearer/);
  await refused({ ...wanda, method: "random", reconstruct: true }, /random takes no budgets/);
  await refused({ ...wanda, calibration: { tokenIds: [] } }, /a window of 0 tokens/);
  await refused(
    { ...wanda, calibration: { tokens: 300 } },
    /windows of 300 tokens; the model sees 256; choose shorter/,
  );
  await refused(
    { ...wanda, calibration: { tokenIds: [[2, 3], [2]] } },
    /windows differ in length: 1 has 1 tokens, 0 has 2/,
  );
  await refused({ ...wanda, calibration: { tokenIds: [[2, 99999]] } }, /no token id: window 0: 99999/);
});

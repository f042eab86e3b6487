import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../../src/base/testing.test-helper.ts";
import { openCheckpointFile } from "../../src/checkpoint/open.ts";
import { runCommand, UsageError } from "./command.ts";
import { exportCommand } from "./export.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-export-command-"));
process.env.PRUNELAB_CACHE = join(folder, "cache");
test.after(() => rm(folder, { recursive: true }));

async function run(t: test.TestContext, ...args: string[]): Promise<string> {
  const log = t.mock.method(console, "log", () => {});
  const stream = t.mock.method(process.stderr, "write", () => true);
  await runCommand("export", exportCommand, args).finally(() => {
    stream.mock.restore();
    log.mock.restore();
  });
  return log.mock.calls.map(({ arguments: [line] }) => line).join("\n");
}

test("writes the form that is asked for, says so in a line, and does not write over it unless told to", async (t) => {
  const output = join(folder, "gguf");
  const words = ["--model", tinyModel, "--to", "gguf:q8_0", "--output", output];
  const line = await run(t, ...words, "--mask");
  assert.match(line, /^tiny-gemma3 as gguf:q8_0: 0\.1 MB of weights in .*, read again and found right; tensors: /);
  assert.ok(!line.includes("\n"));
  assert.deepEqual((await readdir(output)).sort(), ["mask.safetensors", "tiny-gemma3-Q8_0.gguf"]);
  await openCheckpointFile(join(output, "tiny-gemma3-Q8_0.gguf"));
  await assert.rejects(run(t, ...words), /there already: .*--force/);
  const json = JSON.parse(await run(t, ...words, "--force", "--json"));
  assert.deepEqual([json.form, json.files[0].name], ["gguf:q8_0", "tiny-gemma3-Q8_0.gguf"]);
});

test("a shard size, and the base whose blocks stay", async (t) => {
  const output = join(folder, "shards");
  await run(t, "--model", tinyModel, "--to", "safetensors:bf16", "--output", output, "--shard-size", "50KB");
  assert.ok((await readdir(output)).includes("model.safetensors.index.json"));
  const base = ["--base", join(tinyModel, "model.gguf")];
  const line = await run(t, "--model", output, "--to", "gguf:q8_0", "--output", output, ...base);
  assert.match(line, /Q8_0/);
});

test("mistakes are told before anything is written", async (t) => {
  const output = join(folder, "none");
  const words = (to: string) => ["--model", tinyModel, "--to", to, "--output", output];
  await assert.rejects(run(t, "--output", output), /missing --to; choose one of safetensors:bf16, /);
  await assert.rejects(run(t, "--to", "sparse"), /missing --output/);
  await assert.rejects(run(t, ...words("gguf:q3")), /unknown form: gguf:q3/);
  await assert.rejects(run(t, ...words("gguf:q4_k")), /would not stay zero/);
  await assert.rejects(run(t, ...words("safetensors:bf16"), "--shard-size", "many"), UsageError);
  await assert.rejects(run(t, ...words("gguf:f16"), "--base", tinyModel), /--base is not a \.gguf model/);
  await assert.rejects(run(t, "--model", folder, "--to", "sparse", "--output", output), /not a checkpoint/);
  const own = join(folder, "own");
  await cp(tinyModel, own, { recursive: true });
  await assert.rejects(
    run(t, "--model", own, "--to", "safetensors:f16", "--output", own, "--force"),
    /where the model itself lies/,
  );
  await assert.rejects(readdir(output), /ENOENT/);
});

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { tinyModel } from "../../src/base/testing.test-helper.ts";
import { startHub } from "../../src/hub/hub-server.test-helper.ts";
import { runCommand } from "./command.ts";
import { exportCommand } from "./export.ts";
import { prune } from "./prune.ts";
import { ask } from "./publish.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-export-card-"));
process.env.PRUNELAB_CACHE = join(folder, "cache");
test.after(() => rm(folder, { recursive: true }));

test("prune leaves the recipe that export --card makes a card of, for its own folder and for a form of it", async (t) => {
  t.mock.method(console, "log", () => {});
  const [pruned, form] = [join(folder, "pruned"), join(folder, "form")];
  await runCommand("prune", prune, ["--model", tinyModel, "--output", pruned, "--sparsity", "0.25"]);
  await runCommand("export", exportCommand, ["--card", "--output", pruned]);
  assert.match(await readFile(join(pruned, "README.md"), "utf8"), /\*\*Sparsity\*\*: 25\.0 %[\s\S]*model="pruned"/);
  const words = [
    "--model",
    pruned,
    "--to",
    "onnx:fp32",
    "--output",
    form,
    "--card",
    "--card-base",
    "a/b",
    "--license",
    "mit",
  ];
  await runCommand("export", exportCommand, words);
  const card = await readFile(join(form, "README.md"), "utf8");
  assert.match(card, /^---\nlicense: mit\nbase_model: a\/b\n[\s\S]*library_name: transformers\.js\n/);
  assert.match(card, /\*\*Method\*\*: magnitude/);
});

test("a card that cannot be made is told in a sentence", async () => {
  const run = (...words: string[]) => runCommand("export", exportCommand, words);
  await assert.rejects(run("--output", folder), /^PrunelabError: missing --to; choose one of /);
  await assert.rejects(
    run("--output", folder, "--to", "onnx:fp32", "--results", "x"),
    /--results is for --card and --push-results; give that too/,
  );
  await assert.rejects(
    run("--card", "--output", tinyModel, "--results", join(folder, "none")),
    /cannot read .*none: there is no such file/,
  );
  await writeFile(join(folder, "results_x.json"), "{");
  await assert.rejects(run("--card", "--output", tinyModel, "--results", folder), /not valid JSON: .*results_x\.json/);
});

test("a push asks on a terminal, needs --yes without one, and is told before work when it cannot be", async (t) => {
  const hub = await startHub([]);
  const environment = { ...process.env };
  t.after(async () => {
    process.env = environment;
    await hub.close();
  });
  const log = t.mock.method(console, "log", () => {});
  Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HOME: folder, HF_TOKEN: "hf_good" });
  delete process.env.HF_HUB_OFFLINE;
  const output = join(folder, "pushed");
  const run = (...words: string[]) => runCommand("export", exportCommand, ["--output", output, ...words]);
  const to = ["--model", tinyModel, "--to", "safetensors:bf16"];
  const isTTY = Object.getOwnPropertyDescriptor(process.stdin, "isTTY");
  Object.defineProperty(process.stdin, "isTTY", { value: undefined, configurable: true });
  t.after(() => isTTY && Object.defineProperty(process.stdin, "isTTY", isTTY));
  await assert.rejects(run(...to, "--push", "me/tiny"), /no terminal to ask on before me\/tiny is pushed; give --yes/);
  await assert.rejects(run(...to, "--yes"), /--yes is for --push and --push-results/);
  await assert.rejects(
    run("--push-results", "me/scores", "--yes"),
    /--push-results pushes one folder; name it with --results/,
  );
  await assert.rejects(run(...to, "--push", "tiny", "--yes"), /no owner in the repository's name: tiny/);
  await assert.rejects(readFile(join(output, "config.json")), "nothing was written before");

  hub.faults.onWrite = (line) => (line.startsWith("POST /api/models/me/tiny/commit") ? 403 : undefined);
  const stream = t.mock.method(process.stderr, "write", () => true);
  await assert.rejects(run(...to, "--card", "--push", "me/tiny", "--yes"), /the token may not write to me\/tiny/);
  hub.faults.onWrite = undefined;
  // A folder that is no checkpoint, as one of graphs alone is none: pushing it opens nothing.
  await rm(join(output, "tokenizer.json"));
  const before = hub.requests.filter((line) => line.startsWith("PUT")).length;
  await run("--push", "me/tiny", "--yes");
  stream.mock.restore();
  assert.equal(hub.requests.filter((line) => line.startsWith("PUT")).length, before);
  const { files, isPrivate } = hub.uploads.written.get("model/me/tiny")!;
  assert.deepEqual([isPrivate, files.has("model.safetensors"), files.has("README.md")], [true, true, true]);
  assert.match(String(files.get("README.md")), /pipeline\("text-generation", model="me\/tiny"\)/);
  assert.match(
    String(log.mock.calls.at(-1)!.arguments[0]),
    /files, .* MB, pushed to .*\/me\/tiny, private, commit c0ffee0$/,
  );

  const plan = { url: "http://hub/me/x", isPublic: true, bytes: 1e6, files: [{ path: "a", local: "a", bytes: 1e6 }] };
  for (const [typed, expected] of [
    ["y\n", true],
    ["Yes\n", true],
    ["\n", false],
    ["no\n", false],
    ["", false],
  ] as const) {
    const [input, shown] = [new PassThrough(), new PassThrough()];
    input.end(typed);
    assert.equal(await ask(plan, { input, output: shown }), expected, JSON.stringify(typed));
    assert.match(String(shown.read()), /push 1 file, 1\.0 MB \(a\) to http:\/\/hub\/me\/x, PUBLIC\? \[y\/N\] /);
  }
});

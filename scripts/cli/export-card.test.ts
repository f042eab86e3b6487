import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../../src/base/testing.test-helper.ts";
import { runCommand } from "./command.ts";
import { exportCommand } from "./export.ts";
import { prune } from "./prune.ts";

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
    /--results is for the model card; give --card too/,
  );
  await assert.rejects(
    run("--card", "--output", tinyModel, "--results", join(folder, "none")),
    /cannot read .*none: there is no such file/,
  );
  await writeFile(join(folder, "results_x.json"), "{");
  await assert.rejects(run("--card", "--output", tinyModel, "--results", folder), /not valid JSON: .*results_x\.json/);
});

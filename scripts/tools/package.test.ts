import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { isCode, readNotebook } from "../../kernel/runner/notebook.ts";

function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip", ...env },
  });
  assert.equal(status, 0, `${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

// As a user has it: installed from the packed file, once, in a place that is gone later.
const root = mkdtempSync(join(tmpdir(), "prunelab-package-"));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = join(root, "first");
mkdirSync(folder);
let tarball = "";
before(() => {
  run("npm", ["pack", "--pack-destination", folder], ".");
  tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  run("npm", ["install", "--no-audit", "--no-fund", `./${tarball}`], folder);
});

test("the packed package works in an empty folder: library and command line", () => {
  const cache = { PRUNELAB_CACHE: join(folder, "cache"), PRUNELAB_DATA: "" };
  assert.match(run("npx", ["--no-install", "prunelab", "--help"], folder, cache), /usage: prunelab/);
  assert.match(run("npx", ["--no-install", "prunelab", "cache"], folder, cache), /nothing is cached/);

  // The whole way on the tiny model and the demo tasks, which the package carries.
  const script = `
    import { compare, evaluate, exportModel, frame, loadLanguageModel, openCheckpoint, prune } from "prunelab";
    const dense = await openCheckpoint(process.argv[2]);
    const pruned = await prune(dense, { method: "magnitude", sparsity: 0.5 });
    const score = async (checkpoint) => evaluate(await loadLanguageModel(checkpoint), ["hellaswag"], { limit: 5 });
    const comparison = compare(await score(dense), await score(pruned));
    await exportModel(pruned, "pruned");
    console.log(String(comparison), (await comparison.figure().svg()).slice(0, 4));
    await frame(comparison.rows).catch(({ message }) => console.log(message));
  `;
  writeFileSync(join(folder, "script.mjs"), script);
  const tiny = resolve("data/tiny-gemma3");
  const printed = run("node", ["script.mjs", tiny], folder, { ...cache, HF_HUB_OFFLINE: "1" });
  assert.match(printed, /hellaswag[\s\S]*<svg/i);
  // An optional peer, which npm does not install by itself.
  assert.match(printed, /cannot load danfojs-node, .* put "overrides": .* and run npm install danfojs-node@1\.2\.0/);
  assert.deepEqual(readdirSync(join(folder, "pruned", "onnx")).sort(), ["model.onnx", "model.onnx_data"]);
});

test("a folder made from the packed package works outside the clone, once moved too", () => {
  const out = run("npx", ["--no-install", "prunelab", "new", "../My Experiment"], folder);
  assert.match(out, /npm run lab +cell by cell/);
  assert.match(out, /npm start +all cells/);
  rmSync(folder, { recursive: true });

  const made = join(root, "My Experiment");
  assert.deepEqual(readdirSync(made).sort(), [
    ".gitignore",
    "README.md",
    "experiment.ipynb",
    "node_modules",
    "package-lock.json",
    "package.json",
    tarball,
  ]);
  const { name, dependencies } = JSON.parse(readFileSync(join(made, "package.json"), "utf8"));
  assert.deepEqual([name, dependencies.prunelab], ["my-experiment", `file:${tarball}`]);

  const env = {
    PRUNELAB_CACHE: join(root, "cache"),
    PRUNELAB_DATA: "",
    HF_HUB_OFFLINE: "1",
    JUPYTER_DATA_DIR: join(root, "jupyter"),
  };
  run("npx", ["--no-install", "prunelab", "run", "--check", "experiment.ipynb"], made, env);
  const model = resolve("data/tiny-gemma3");
  run("npm", ["start", "--", "-p", `model=${model}`, "-p", 'tasks=["hellaswag"]', "-p", "limit=5"], made, env);
  const cells = readNotebook(join(made, "experiment.ipynb")).cells.filter(isCode);
  assert.deepEqual(
    cells.map(({ execution_count }) => execution_count),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  const data = (index: number) => (cells[index]?.outputs.at(-1)?.data ?? {}) as Record<string, unknown>;
  assert.match(String(data(4)["image/svg+xml"] ?? data(4)["text/html"]), /<svg/);
  assert.match(String(data(6)["text/plain"]), /HellaSwag/);
  assert.match(String(data(7)["image/svg+xml"] ?? data(7)["text/html"]), /<svg/);

  // The kernel that the folder's own command installs is the folder's own.
  run("npx", ["--no-install", "prunelab", "install"], made, env);
  const spec = JSON.parse(readFileSync(join(root, "jupyter", "kernels", "prunelab", "kernel.json"), "utf8"));
  assert.ok(spec.argv[1].startsWith(join(made, "node_modules", "prunelab")), spec.argv[1]);
});

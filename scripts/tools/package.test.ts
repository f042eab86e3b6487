import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";

function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip", ...env },
  });
  assert.equal(status, 0, `${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

test("the packed package works in an empty folder: library and command line", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-package-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  run("npm", ["pack", "--pack-destination", folder], ".");
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  run("npm", ["install", "--no-audit", "--no-fund", `./${tarball}`], folder);

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

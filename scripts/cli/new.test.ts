import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { isCode, readNotebook } from "../../kernel/runner/notebook.ts";

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-new-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function run(
  command: string,
  args: string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip", ...env },
  });
  return { code: status, out: stdout, err: stderr };
}

test("a folder with something in it is refused in one sentence, and left as it is", (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, "full"));
  writeFileSync(join(folder, "full", "mine.txt"), "mine");
  const command = resolve("dist/scripts/cli/prunelab.js");
  for (const [args, code, expected] of [
    [["full"], 1, /^prunelab: folder is not empty: full; name a new or an empty one\n$/],
    [
      ["full/mine.txt"],
      1,
      /^prunelab: cannot make folder full\/mine\.txt: a file is in the way; choose another name\n$/,
    ],
    [
      ["full/mine.txt/x"],
      1,
      /^prunelab: cannot make folder full\/mine\.txt\/x: a file is in the way; choose another name\n$/,
    ],
    [[], 1, /^prunelab: which folder\?/],
    [["a", "b"], 1, /^prunelab: which folder\?/],
    [["--nonsense"], 2, /unknown option/],
  ] as const) {
    const found = run(process.execPath, [command, "new", ...args], folder);
    assert.deepEqual([found.code, found.out], [code, ""], found.err);
    assert.match(found.err, expected);
  }
  assert.deepEqual(readdirSync(folder), ["full"]);
  assert.deepEqual(readdirSync(join(folder, "full")), ["mine.txt"]);
});

test("a folder made from the packed package works outside the clone, once moved too", (t) => {
  const folder = temporaryFolder(t);
  const done = (command: string, args: string[], cwd: string, env?: NodeJS.ProcessEnv) => {
    const { code, out, err } = run(command, args, cwd, env);
    assert.equal(code, 0, `${command} ${args.join(" ")}\n${out}\n${err}`);
    return out;
  };
  // As a user has it: installed from the packed file, in a place that is gone later.
  const first = join(folder, "first");
  mkdirSync(first);
  done("npm", ["pack", "--ignore-scripts", "--pack-destination", first], ".");
  const tarball = readdirSync(first).find((name) => name.endsWith(".tgz"));
  writeFileSync(join(first, "package.json"), JSON.stringify({ private: true }));
  done("npm", ["install", "--no-audit", "--no-fund", `./${tarball}`], first);
  const out = done("npx", ["--no-install", "prunelab", "new", "../My Experiment"], first);
  assert.match(out, /npm run lab +cell by cell/);
  assert.match(out, /npm start +all cells/);
  rmSync(first, { recursive: true });

  const made = join(folder, "My Experiment");
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
    PRUNELAB_CACHE: join(folder, "cache"),
    PRUNELAB_DATA: "",
    HF_HUB_OFFLINE: "1",
    JUPYTER_DATA_DIR: join(folder, "jupyter"),
  };
  done("npx", ["--no-install", "prunelab", "run", "--check", "experiment.ipynb"], made, env);
  const model = resolve("data/tiny-gemma3");
  done("npm", ["start", "--", "-p", `model=${model}`, "-p", 'tasks=["hellaswag"]', "-p", "limit=5"], made, env);
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
  done("npx", ["--no-install", "prunelab", "install"], made, env);
  const spec = JSON.parse(readFileSync(join(folder, "jupyter", "kernels", "prunelab", "kernel.json"), "utf8"));
  assert.ok(spec.argv[1].startsWith(join(made, "node_modules", "prunelab")), spec.argv[1]);
});

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, it, test } from "node:test";
import { isCode, readNotebook } from "../../kernel/runner/notebook.ts";
import { notebookOf, temporaryFolder, writeNotebookFile } from "../../kernel/runner/testing.test-helper.ts";

const command = resolve("dist/scripts/cli/prunelab.js");

function prunelab(
  folder: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, "run", ...args], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, GITHUB_ACTIONS: "", ...env },
  });
  return { code: status, out: stdout, err: stderr };
}

const recorded = (path: string) =>
  readNotebook(path)
    .cells.filter(isCode)
    .map(({ metadata }) => metadata.prunelab as Record<string, unknown> | undefined);

test("wrong options and notebooks end in one sentence and a code of their own, before anything runs", (t) => {
  const folder = temporaryFolder(t);
  const good = readFileSync(writeNotebookFile(folder, "good.ipynb", notebookOf("parameters|let limit = 1", "2")));
  writeNotebookFile(folder, "plain.ipynb", notebookOf("1"));
  writeNotebookFile(folder, "bad.ipynb", "{");
  mkdirSync(join(folder, "other"));
  writeNotebookFile(join(folder, "other"), "good.ipynb", notebookOf("1"));
  for (const [args, code, expected] of [
    [[], 2, /which notebook\?/],
    [["--nonsense", "good.ipynb"], 2, /unknown option '--nonsense'/],
    [["good.ipynb", "--timeout", "soon"], 2, /invalid --timeout; a number above 0: soon/],
    [["good.ipynb", "--jobs", "0"], 2, /invalid --jobs/],
    [["good.ipynb", "--check", "--diff"], 2, /choose one of --resume, --check and --diff: check, diff/],
    [["good.ipynb", "--diff", "--output", "x.ipynb"], 2, /--diff writes no notebook/],
    [["good.ipynb", "--mask", "x"], 2, /--mask needs --diff/],
    [["good.ipynb", "--output", "x.txt"], 2, /invalid --output/],
    [["good.ipynb", "plain.ipynb", "--output", "x.ipynb"], 2, /several notebooks need a folder/],
    [["good.ipynb", "other/good.ipynb", "--output", "o/"], 2, /two notebooks of one name/],
    [["good.ipynb", "-p", "limt=2"], 2, /unknown parameter; known are limit: limt$/],
    [
      ["good.ipynb", "-p", "limit=many"],
      2,
      /wrong type for parameter limit: "many": .*; good\.ipynb knows limit \(number\)$/,
    ],
    [["plain.ipynb", "-p", "limit=2"], 2, /no cell is tagged parameters, so limit cannot be set: plain\.ipynb$/],
    [["good.ipynb", "--parameters", "absent.yaml"], 2, /cannot read --parameters/],
    [["good.ipynb", "bad.ipynb"], 3, /notebook is not JSON: bad\.ipynb/],
    [["absent.ipynb"], 3, /no such notebook: absent\.ipynb$/],
    [["other"], 3, /notebook is a folder: other; name the notebooks in it, such as other\/\*\.ipynb$/],
    [["good.ipynb", "--output", "bad.ipynb/x.ipynb"], 7, /cannot write /],
    [["good.ipynb", "--output", "/proc/x/"], 7, /cannot write .*proc.x/],
    [["good.ipynb", "--junit", "other"], 7, /cannot write other: a folder of that name is in the way$/],
  ] as const) {
    const { code: found, out, err } = prunelab(folder, [...args]);
    assert.equal(found, code, `${args.join(" ")}\n${err}`);
    assert.match(err.trim(), expected, args.join(" "));
    assert.equal(err.trim().split("\n").length, 1, err);
    assert.doesNotMatch(out, /\[1\/\d\]/);
    assert.deepEqual(readFileSync(join(folder, "good.ipynb")), good, args.join(" "));
  }
  assert.match(prunelab(folder, ["--help"]).out, /exit codes: 0 all passed/);
});

describe("prunelab run", () => {
  it("runs in place with parameters, resumes, and compares", (t) => {
    const folder = temporaryFolder(t);
    const cells = [
      "parameters|let limit: number = 1",
      "'alone'",
      "const list = [limit]",
      "list.length + 'x'",
      "throw new Error('no')",
    ];
    const path = writeNotebookFile(folder, "x.ipynb", notebookOf(...cells));
    writeFileSync(join(folder, "p.yaml"), "limit: 3\n");
    const first = prunelab(folder, [
      "x.ipynb",
      "--parameters",
      "p.yaml",
      "-p",
      "limit=4",
      "--json",
      "r.json",
      "--junit",
      "r/j.xml",
      "--html",
      "r.html",
    ]);
    assert.equal(first.code, 1, first.err);
    assert.match(first.out, /^x\.ipynb \[3\/6\] 'alone'\n'alone'\nx\.ipynb \[3\/6\] passed in /m);
    assert.match(first.out, /^x\.ipynb: 5 passed, 1 failed in .* at most$/m);
    const [notebook] = JSON.parse(readFileSync(join(folder, "r.json"), "utf8")).notebooks;
    assert.deepEqual([notebook.status, notebook.cells.length], ["failed", 6]);
    assert.match(readFileSync(join(folder, "r/j.xml"), "utf8"), /tests="6" failures="1" errors="0" skipped="0"/);
    assert.match(readFileSync(join(folder, "r.html"), "utf8"), /let limit: number = 4;|let limit = 4;/);
    assert.equal(readNotebook(path).cells[1]?.source, "// Parameters\nlet limit = 4;");

    const broken = readNotebook(path);
    (broken.cells[5] as { source: string }).source = "list[0]";
    writeFileSync(path, JSON.stringify(broken));
    const second = prunelab(folder, ["x.ipynb", "--resume"]);
    assert.equal(second.code, 0, second.err + second.out);
    assert.deepEqual(
      recorded(path).map((each) => each?.origin),
      ["rerun", "rerun", "reused", "rerun", "rerun", "run"],
    );
    const again = readNotebook(path).cells.filter(isCode);
    assert.deepEqual([again[2]?.execution_count, again[2]?.outputs.length], [null, 1]);
    assert.match(second.out, /\[3\/6\] reused, as it ran at 20/);

    const saved = readFileSync(path);
    assert.equal(prunelab(folder, ["x.ipynb", "--diff"]).code, 0);
    const other = prunelab(folder, ["x.ipynb", "--diff", "-p", "limit=5"]);
    assert.equal(other.code, 6, other.err);
    assert.match(other.out, /\[6\/6\] outputs differ: list\[0\]\n--- saved\n\+\+\+ now\n.*\n.*\n-4\n\+5\n/);
    assert.equal(prunelab(folder, ["x.ipynb", "--diff", "-p", "limit=5", "--mask", "^\\d$"]).code, 6);
    assert.equal(prunelab(folder, ["x.ipynb", "--diff", "-p", "limit=5", "--mask", "\\d"]).code, 0);
    assert.deepEqual(readFileSync(path), saved);

    assert.match(prunelab(folder, ["x.ipynb", "--quiet"]).out, /without the parameters that an earlier run had set/);
    assert.equal(readNotebook(path).cells.length, 5);
  });

  it("only checks types, of all notebooks, from the packages of their own folder", (t) => {
    const folder = temporaryFolder(t);
    const sub = join(folder, "sub");
    mkdirSync(sub);
    writeFileSync(join(sub, "own.ts"), "export const own = 1;");
    writeNotebookFile(sub, "good.ipynb", notebookOf('import { own } from "./own.ts";', "own.toFixed(); throw 1"));
    const path = writeNotebookFile(folder, "bad.ipynb", notebookOf("1", "const n: number =\n  'x'"));
    const before = readFileSync(path);
    const { code, out, err } = prunelab(folder, ["--check", "sub/good.ipynb", "bad.ipynb"], { GITHUB_ACTIONS: "true" });
    assert.equal(code, 1, err);
    assert.match(
      out,
      /^bad\.ipynb \[2\/2\] const n: number =\nTS2322: .*\n {4}at cell 2, line 1, column 7\n---> 1 \| const n/m,
    );
    assert.match(out, /^sub\/good\.ipynb: 2 passed in /m);
    assert.match(out, /^::error file=bad\.ipynb,title=cell 2::TS2322: /m);
    assert.deepEqual(readFileSync(path), before);
    assert.equal(prunelab(folder, ["--check", "sub/good.ipynb"]).code, 0);
  });

  it("runs several at once, writes elsewhere, and ends with the gravest code", (t) => {
    const folder = temporaryFolder(t);
    const sources = {
      "a.ipynb": ["console.log('::error::mine')", "1"],
      "b.ipynb": ["throw 1"],
      "c.ipynb": ["for (;;);"],
    };
    const paths = Object.entries(sources).map(([name, cells]) => writeNotebookFile(folder, name, notebookOf(...cells)));
    const before = paths.map((path) => readFileSync(path));
    const { code, out } = prunelab(folder, [...paths, "--jobs", "3", "--output", "out/", "--timeout", "8"], {
      GITHUB_ACTIONS: "true",
    });
    assert.equal(code, 4, out);
    assert.match(out, /^a\.ipynb \| \[1\/2\] console/m);
    const [, token] = /^::stop-commands::([0-9a-f-]{36})$/m.exec(out) ?? [];
    assert.ok(out.indexOf("::error::mine") < out.indexOf(`\n::${token}::\n`), "what a cell prints is not a command");
    assert.match(out.slice(out.indexOf(`\n::${token}::\n`)), /^::error file=.*b\.ipynb,title=cell 1::/m);
    assert.deepEqual(readdirSync(join(folder, "out")).sort(), ["a.ipynb", "b.ipynb", "c.ipynb"]);
    assert.deepEqual(
      ["a", "b", "c"].map(
        (name) => (readNotebook(join(folder, "out", `${name}.ipynb`)).metadata.prunelab as { status: string }).status,
      ),
      ["passed", "failed", "timeout"],
    );
    assert.deepEqual(
      paths.map((path) => readFileSync(path)),
      before,
    );
  });

  it("saves and cleans up when it is stopped", {
    skip: process.platform === "win32" && "no signals there",
  }, async (t) => {
    const folder = temporaryFolder(t);
    for (const [signal, expected] of [
      ["SIGTERM", 143],
      ["SIGINT", 130],
      ["SIGKILL", null],
    ] as const) {
      const path = writeNotebookFile(
        folder,
        "x.ipynb",
        notebookOf("process.pid", "console.log('waits'); await new Promise(() => {})", "3"),
      );
      const child = spawn(process.execPath, [command, "run", path], { stdio: ["ignore", "pipe", "inherit"] });
      let out = "";
      for await (const chunk of child.stdout) {
        out += chunk;
        // Twice, as npm passes on what the terminal has sent already.
        if (!child.killed && out.includes("\nwaits")) for (const _ of [1, 2]) child.kill(signal);
      }
      const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
      assert.equal(code, expected, out);
      assert.deepEqual(
        recorded(path).map((each) => each?.status),
        ["passed", signal === "SIGKILL" ? undefined : "stopped", undefined],
      );
      const [pid] = /(?<=\n)\d+(?=\n)/.exec(out) ?? [];
      const isGone = () => Number(pid) > 0 && !existsSync(`/proc/${pid}`);
      for (let i = 0; i < 100 && !isGone(); i++) await new Promise((go) => setTimeout(go, 100));
      assert.ok(isGone(), "the process of the cells is gone");
      if (signal === "SIGKILL") continue;
      assert.match(JSON.stringify(readNotebook(path).cells[1]), new RegExp(`waits.*stopped by ${signal}`));
    }
  });
});

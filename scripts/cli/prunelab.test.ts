import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { commands } from "./commands.ts";

const command = resolve("dist/scripts/cli/prunelab.js");
const folder = mkdtempSync(join(tmpdir(), "prunelab-command-"));
test.after(() => rmSync(folder, { recursive: true }));

function prunelab(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    cwd: folder,
    encoding: "utf8",
    env: {
      ...process.env,
      PRUNELAB_CACHE: join(folder, "cache"),
      PRUNELAB_DATA: "",
      HF_HUB_OFFLINE: "1",
      HF_HOME: folder,
    },
    timeout: 60_000,
  });
  return { code: status, out: stdout, err: stderr };
}

const names = Object.keys(commands);

test("the help lists the commands, and each command's help has its options with defaults, and examples", () => {
  const { code, out } = prunelab("--help");
  assert.equal(code, 0);
  assert.match(out, /^usage: prunelab <command> \[options\]/);
  for (const name of names) {
    assert.match(out, new RegExp(`^  ${name} `, "m"));
    const help = prunelab(name, "--help");
    assert.equal(help.code, 0, help.err);
    assert.match(help.out, new RegExp(`^usage: prunelab ${name} `));
    assert.match(help.out, new RegExp(`^examples:\n  prunelab ${name}`, "m"));
    assert.equal(prunelab("help", name).out, help.out);
  }
  assert.match(prunelab("card", "--help").out, /--sparsity <share>.*\n?.*\(default: 0\.5\)/);
  const none = prunelab();
  assert.deepEqual([none.code, none.out], [2, out]);
  assert.match(prunelab("--version").out, /^\d+\.\d+\.\d+\n$/);
});

test("a misspelt command or option is met with the nearest one, in one sentence", () => {
  for (const [args, code, expected] of [
    [["evalute"], 1, "prunelab: unknown command 'evalute'; did you mean evaluate?"],
    [["frobnicate"], 1, `prunelab: unknown command 'frobnicate'; known are ${names.join(", ")}`],
    [["evaluate", "--task", "arc_easy"], 2, "prunelab: unknown option '--task'; did you mean --tasks?"],
    [["card", "extra"], 2, /^prunelab: too many arguments for 'card'/],
    [["prune", "--output"], 2, /^prunelab: option '--output <folder>' argument missing/],
    [["prune", "--output", "--onnx"], 2, "prunelab: missing value of --output: the next word is --onnx"],
    [["--nonsense"], 1, /^prunelab: unknown option '--nonsense'/],
  ] as const) {
    const { code: found, out, err } = prunelab(...args);
    assert.deepEqual([found, out], [code, ""], err);
    if (typeof expected === "string") assert.equal(err, `${expected}\n`);
    else assert.match(err, expected);
    assert.equal(err.trim().split("\n").length, 1, err);
  }
});

test("every mistake in the options is reported before a model is opened", () => {
  // No such model: opening it would be another sentence.
  const model = ["--model", "/no/such/model"];
  for (const [args, expected] of [
    [["card", "--sparsity", "2"], "invalid --sparsity; a number in [0, 1): 2"],
    [["card", "--limit", "-3"], "invalid --limit; a count, a share below 1, or all: -3"],
    [["card", "--limit", "1.5"], "invalid --limit; a count, a share below 1, or all: 1.5"],
    [["card", "--output", "/proc/x"], /^cannot write \/proc\/x: the folder is not there and cannot be made/],
    [["evaluate", "--limit", "0"], "invalid --limit; a count, a share below 1, or all: 0"],
    [["evaluate", "--samples", "0"], "invalid --samples; a whole number from 1 on: 0"],
    [["evaluate", "--num-fewshot", "-1"], "invalid --num-fewshot; a whole number: -1"],
    [["evaluate", "--device", "tpu"], /^invalid --device; choose one of cpu, webgpu, cuda, .*: tpu$/],
    [["evaluate", "--tasks", "hellaswagg"], /hellaswagg/],
    [["evaluate", "--limit", "5", "--samples", "5"], /^limit and samples exclude each other/],
    [
      ["evaluate", "--until-decided-against", "/no/such/model"],
      /^invalid --until-decided-against; it is --model itself, .*: \/no\/such\/model; name another model$/,
    ],
    [
      ["evaluate", "--until-decided-against", "x", "--tasks", "wikitext"],
      /^invalid --until-decided-against; none of the tasks is of multiple choice: wikitext; choose one/,
    ],
    [["evaluate", "--output", "/proc/x/y"], /^cannot write \/proc\/x\/y: the folder is not there and cannot be made/],
  ] as const) {
    const { code, out, err } = prunelab(args[0], ...model, ...args.slice(1));
    assert.deepEqual([code, out], [1, ""], err);
    const message = err.replace(/^prunelab: /, "").trimEnd();
    if (typeof expected === "string") assert.equal(message, expected);
    else assert.match(message, expected);
  }
});

test("evaluate prints a table or JSON, and says where fewer documents are available than asked for", () => {
  const args = ["evaluate", "--model", resolve("data/tiny-gemma3"), "--limit", "300", "--output", join(folder, "out")];
  const text = prunelab(...args);
  assert.equal(text.code, 0, text.err);
  assert.match(text.out, /^hellaswag: all \d+ documents, fewer than --limit 300$/m);
  const json = prunelab(...args, "--json");
  const rows = JSON.parse(json.out);
  assert.deepEqual([rows[0].task, rows[0].metric], ["hellaswag", "acc"]);
});

test("evaluate says of each task what was decided against another model, and how many documents that saved", () => {
  const pruned = join(folder, "pruned");
  const model = resolve("data/tiny-gemma3");
  const made = prunelab("prune", "--model", model, "--sparsity", "0.5", "--output", pruned);
  assert.equal(made.code, 0, made.err);
  const output = ["--output", join(folder, "decided")];
  const { code, out, err } = prunelab("evaluate", "--model", pruned, "--until-decided-against", model, ...output);
  assert.equal(code, 0, err);
  const said = /^hellaswag: (undecided|a loss|a gain) against \S+ after (\d+) of (\d+) documents, (\d+) saved$/m.exec(
    out,
  );
  assert.ok(said, out);
  const [asked, limit, saved] = said.slice(2).map(Number);
  assert.equal(asked! + saved!, limit);
});

test("completion scripts know every command and option", () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, out, err } = prunelab("completion", shell);
    assert.equal(code, 0, err);
    for (const word of [...names, "sparsity", "num-fewshot", "calibration"])
      assert.ok(out.includes(word), `${shell} ${word}`);
  }
  assert.match(prunelab("completion", "tcsh").err, /^prunelab: which shell\? choose one of bash, zsh, fish: tcsh/);
});

test("bash completes commands, options and values", { skip: process.platform === "win32" && "no bash" }, () => {
  const script = join(folder, "completion.bash");
  writeFileSync(script, prunelab("completion", "bash").out);
  const completed = (...words: string[]) => {
    const line = `source ${script}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _prunelab; echo "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", line], { encoding: "utf8" });
    assert.equal(stderr, "");
    return stdout.trim().split(" ");
  };
  assert.deepEqual(completed("prunelab", "pr"), ["prune"]);
  assert.deepEqual(completed("prunelab", "prune", "--spa"), ["--sparsity"]);
  assert.deepEqual(completed("prunelab", "prune", "--method", "sp"), ["sparsegpt"]);
  assert.deepEqual(completed("prunelab", "evaluate", "--device", "cu"), ["cuda"]);
});

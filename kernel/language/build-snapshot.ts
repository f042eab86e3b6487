/** Makes the start-up snapshot of the language process: `build-snapshot.js FILE`. */
import { execFileSync } from "node:child_process";
import { existsSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants, setPriority } from "node:os";
import { dirname, parse } from "node:path";
import { makeFolder } from "../../src/base/atomic.ts";
import { compilerOptions } from "./compiler-options.ts";
import { PACKAGE_VERSION } from "./language-messages.ts";
import { LANGUAGE_FLAGS, SNAPSHOT_SCRIPT } from "./snapshot-file.ts";

/** A lock of this age is of a process that died. */
const LOCK_MS = 600_000;

/** They use what the first cells of notebooks use, right and wrong. */
const CELLS = [
  "const x: number = 1; x + 1",
  'import { readFileSync } from "node:fs"; const lines = readFileSync("a", "utf8").split("\\n").map((line) => line.trim()); console.log(lines)',
  "interface Shape { area(): number } class Square implements Shape { constructor(readonly side: number) {} area() { return this.side ** 2 } } new Square(2).area()",
  "const wrong: string = 1; const shapes = await Promise.all([1, 2].map(async (n) => ({ n, text: String(n) }))); shapes.map(({ n }) => n.toFixd()); process.env.HOME?.length",
  "const { a, ...rest } = { a: 1, b: new Map<string, number[]>() }; for (const [key, values] of rest.b) console.log(key, Math.max(...values)); Math.ab",
];

const [path] = process.argv.slice(2) as [string];
const lock = `${path}.lock`;
makeFolder(dirname(path));
const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
if (age > LOCK_MS) rmSync(lock, { force: true });
if (!existsSync(path) && isMine()) {
  try {
    make();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isMine(): boolean {
  try {
    openSync(lock, "wx");
    return true;
  } catch {
    return false;
  }
}

function make(): void {
  setPriority(constants.priority.PRIORITY_LOW);
  const typescript = createRequire(import.meta.url).resolve("typescript");
  const options = compilerOptions(parse(process.cwd()).root);
  const plan = JSON.stringify({ typescript, options, cells: CELLS, version: PACKAGE_VERSION });
  const made = `${path}.${process.pid}.tmp`;
  // The builder runs a script, not a module.
  const script = `${made}.cjs`;
  writeFileSync(script, `const exports = {};${readFileSync(SNAPSHOT_SCRIPT, "utf8")}`);
  try {
    const flags = [...LANGUAGE_FLAGS, "--snapshot-blob", made, "--build-snapshot"];
    execFileSync(process.execPath, [...flags, script, plan], { stdio: "ignore" });
    renameSync(made, path);
  } finally {
    rmSync(script, { force: true });
    rmSync(made, { force: true });
  }
}

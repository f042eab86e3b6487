// @ts-check
// Installs from the lockfile and builds, each only when its inputs changed. JavaScript, since it runs before TypeScript is there.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`unsupported node; needs 20.19 or later: ${process.versions.node}\n`);
  process.exit(1);
}

/** @param {string} command @param {string[]} args */
function run(command, args) {
  // npm is a shell script on Windows, which spawn finds only through a shell.
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
  });
  if (error) process.stderr.write(`cannot run ${command}: ${error.message}\n`);
  if (status !== 0) process.exit(status ?? 1);
}

/** The newest modification time among the TypeScript sources and the build's own settings. */
function newestSource() {
  let newest = 0;
  for (const folder of ["src", "kernel", "scripts"]) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (/\.(ts|json)$/.test(name)) newest = Math.max(newest, statSync(join(root, folder, name)).mtimeMs);
    }
  }
  for (const name of ["tsconfig.json", "tsconfig.build.json", "package-lock.json"]) {
    newest = Math.max(newest, statSync(join(root, name)).mtimeMs);
  }
  return newest;
}

// A copy of the lockfile, written last, marks a finished install: npm's own marker can outlive a broken one.
const installed = join(root, "node_modules", ".prunelab-lock.json");
const lockfile = readFileSync(join(root, "package-lock.json"), "utf8");
if (!existsSync(installed) || readFileSync(installed, "utf8") !== lockfile) {
  process.stderr.write("installing from package-lock.json\n");
  run("npm", ["ci", "--no-audit", "--no-fund"]);
  writeFileSync(installed, lockfile);
}

// Node finds a package's own name by its exports; the checker of cells looks in node_modules alone.
const own = join(root, "node_modules", "prunelab");
if (!existsSync(own)) symlinkSync(root, own, "junction");

const built = join(root, "dist", ".built");
if (!existsSync(built) || statSync(built).mtimeMs < newestSource()) {
  process.stderr.write("building\n");
  rmSync(join(root, "dist"), { recursive: true, force: true });
  run("npm", ["run", "--silent", "build"]);
  mkdirSync(dirname(built), { recursive: true });
  writeFileSync(built, "");
}

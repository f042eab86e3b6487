/** The start-up snapshot of the language process: where it is kept, and how it comes to be. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { cacheRoot } from "../../src/base/cache-root.ts";
import { builtFile } from "../../src/base/package-root.ts";

/** Of the process that makes a snapshot and of the one that starts from it, which must have the same. */
export const LANGUAGE_FLAGS: readonly string[] = [
  "--max-old-space-size=2048",
  // What checking leaves behind is collected often, so that an idle kernel stays small.
  "--max-semi-space-size=2",
  "--disable-warning=ExperimentalWarning",
];

export const SNAPSHOT_SCRIPT: string = builtFile("kernel/language/snapshot-script.cjs");

/** The snapshot of this Node, this compiler and these declarations; not necessarily there yet. */
export function snapshotPath(): string {
  const require = createRequire(import.meta.url);
  const packages = ["typescript", "@types/node"].map((name) => {
    const path = require.resolve(`${name}/package.json`);
    const { version } = JSON.parse(readFileSync(path, "utf8")) as { version: string };
    return { path, version };
  });
  const script = readFileSync(SNAPSHOT_SCRIPT, "utf8");
  const parts = [process.version, process.arch, process.env.NODE_OPTIONS, LANGUAGE_FLAGS, packages, script];
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
  return join(cacheRoot(), "kernel", `typescript-${packages[0]?.version}-node-${process.versions.node}-${digest}`);
}

/** Makes it, where it is missing, in a process that outlives this one and gives way to all others. */
export function makeSnapshot(path: string): void {
  if (existsSync(path)) return;
  const child = spawn(process.execPath, [builtFile("kernel/language/build-snapshot.js"), path], {
    stdio: "ignore",
    detached: true,
    windowsHide: true,
  });
  // Without a snapshot the process starts all the same, later.
  child.on("error", () => {});
  child.unref();
}

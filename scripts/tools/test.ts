/** Runs every test file, and fails when none ran, or, under PRUNELAB_NO_SKIP, when one was skipped. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

const wanted = process.argv.slice(2);
const files = ["src", "kernel", "scripts"]
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => join(folder, name)),
  )
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file${wanted.length ? ` matches: ${wanted.join(" ")}` : ""}`);
  process.exit(1);
}

// Caches of the run's own, so that tests neither use nor fill the user's.
const cache = process.env.PRUNELAB_CACHE ? undefined : mkdtempSync(join(tmpdir(), "prunelab-test-cache-"));

// Node leaves one core free, so that two would run one file at a time; many files mostly wait for processes that they start.
const concurrency = `--test-concurrency=${Math.max(2, availableParallelism() - 1)}`;
// A test that failed in the middle may leave something that keeps its file running for ever.
const limit = "--test-timeout=900000";
// The spec reporter's closing lines are read for the counts: node --test exits 0 when nothing ran or all was skipped.
const child = spawn(
  process.execPath,
  ["--import", "tsx", "--test", concurrency, limit, "--test-reporter=spec", ...files],
  {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...(cache && { PRUNELAB_CACHE: cache, HF_HUB_CACHE: cache }) },
  },
);
let closing = "";
child.stdout.on("data", (chunk: Buffer) => {
  process.stdout.write(chunk);
  closing = (closing + chunk.toString()).slice(-4096);
});
child.on("close", (code) => {
  if (cache) rmSync(cache, { recursive: true, force: true });
  const count = (name: string) => Number(new RegExp(`^ℹ ${name} (\\d+)$`, "m").exec(closing)?.[1] ?? 0);
  const skipped = count("skipped") + count("todo");
  if (code === 0 && count("tests") === 0) {
    console.error("no test ran");
    process.exit(1);
  }
  if (code === 0 && skipped > 0 && process.env.PRUNELAB_NO_SKIP) {
    console.error(`${skipped} tests were skipped where PRUNELAB_NO_SKIP allows none`);
    process.exit(1);
  }
  process.exit(code ?? 1);
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { openMemoryMeter, sumOfPs } from "./memory-meter.ts";

test("a process's peak since the reset is seen, also when it has let the memory go", async (t) => {
  if (process.platform === "win32") return t.skip("Windows does not tell");
  const script = `process.stdin.on("data", () => {
    let big = Buffer.alloc(200e6, 1);
    big = undefined;
    gc();
    process.stdout.write("done");
  });
  process.stdout.write("ready");`;
  const child = spawn(process.execPath, ["--expose-gc", "-e", script], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill());
  const meter = openMemoryMeter(child.pid as number);
  t.after(() => meter.close());
  await once(child.stdout, "data");
  meter.reset();
  const before = meter.peakBytes() ?? 0;
  assert.ok(before > 10e6 && before < 190e6, `${before}`);
  child.stdin.write("x");
  await once(child.stdout, "data");
  if (process.platform === "linux") assert.ok((meter.peakBytes() ?? 0) > before + 150e6);
});

test("ps's lines are added up over a process and its descendants only", () => {
  const lines =
    "    1     0  1000\n   10     1   100\n   11    10    20\n   12    11     3\n   13     1  5000\n\nnonsense\n";
  assert.equal(sumOfPs(lines, 10), 123 * 1024);
  assert.equal(sumOfPs(lines, 99), 0);
  // A number given to a new process in the middle of a listing must not make a ring.
  assert.equal(sumOfPs("5 6 1\n6 5 1\n", 5), 2 * 1024);
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { startKernel } from "../protocol/client.ts";
import { soakKinds } from "./soak-kinds.ts";

const ROUNDS = 4;
const MB = 2 ** 20;
/** Of the kernel's own process, after a warm round: what is lost a cell would be multiples of it in a day's work. */
const GROWTH = 200 * MB;

test("many cells of many kinds in one kernel lose no state, and its process does not grow without bound", async (t) => {
  const kernel = await startKernel({ env: { PRUNELAB_HISTORY: "/dev/null" } });
  t.after(() => kernel.close());
  let [counted, late] = [0, 0];
  let warm = 0;
  await kernel.execute("const kept = { count: 0, late: 0, name: 'first' }");
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, { source, outcome, counts, isLate }] of soakKinds.entries()) {
      const code = source(round * soakKinds.length + index);
      const { reply } = await kernel.execute(code);
      assert.equal(reply.status, outcome, `${code}: ${reply.evalue}`);
      counted += Number(counts);
      late += Number(isLate);
    }
    const { messages } = await kernel.execute("[kept.count, kept.late, kept.name].join(' ')");
    const shown = messages.find(({ header }) => header.msg_type === "execute_result")?.content.data;
    assert.equal((shown as Record<string, unknown>)["text/plain"], `'${counted} ${late} first'`);
    if (round === 0) warm = residentBytes(kernel.pid);
  }
  const growth = residentBytes(kernel.pid) - warm;
  assert.ok(growth < GROWTH, `grew by ${(growth / MB).toFixed(0)} MB`);
});

/** 0 where there is no /proc. */
function residentBytes(pid: number): number {
  if (process.platform !== "linux") return 0;
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

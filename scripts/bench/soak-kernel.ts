/** `npm run soak:kernel`: many cells of many kinds in one kernel; what earlier cells made must stay, and memory must not grow. */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type KernelClient, startKernel } from "../../kernel/protocol/client.ts";
import { type SoakKind, soakKinds } from "../../kernel/server/soak-kinds.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseWhole } from "../cli/options.ts";

const help = `usage: npm run soak:kernel -- [options]

--cells <n>   default 2000

Runs cells that declare, redeclare, import, print, show, throw, fail their check, reject, end late and are stopped, and after every hundred of them asks for
what the first cell made and prints the memory of the kernel's processes.`;

const STOPPED_EVERY = 100;
const MB = 2 ** 20;

explainErrors("soak:kernel");
const { values } = parseArgs({
  options: { cells: { type: "string", default: "2000" }, help: { type: "boolean", short: "h", default: false } },
});
if (values.help) console.log(help);
else await soak(parseWhole(values.cells, "--cells"));

async function soak(cells: number): Promise<void> {
  const kernel = await startKernel();
  let counted = 0;
  let late = 0;
  try {
    await expect(kernel, "const kept = { count: 0, late: 0, name: 'first' }", "ok");
    for (let i = 0; i < cells; i++) {
      const { source, outcome, counts, isLate } = soakKinds[i % soakKinds.length] as SoakKind;
      await expect(kernel, source(i), outcome);
      counted += Number(counts);
      late += Number(isLate);
      if ((i + 1) % STOPPED_EVERY > 0) continue;
      await stop(kernel);
      const { messages } = await kernel.execute("[kept.count, kept.late, kept.name].join(' ')");
      const shown = messages.find(({ header }) => header.msg_type === "execute_result")?.content.data;
      const state = String((shown as Record<string, unknown> | undefined)?.["text/plain"]);
      if (state !== `'${counted} ${late} first'`) throw new Error(`state lost after ${i + 1} cells: ${state}`);
      const memory = processesOf(kernel.pid).map((bytes) => (bytes / MB).toFixed(0));
      console.log(`${i + 1} cells: ${memory.join(" + ")} MB`);
    }
  } finally {
    await kernel.close();
  }
}

async function expect(kernel: KernelClient, code: string, outcome: "ok" | "error"): Promise<void> {
  const { reply } = await kernel.execute(code);
  if (reply.status !== outcome) throw new Error(`${reply.status} instead of ${outcome}: ${code}: ${reply.evalue}`);
}

async function stop(kernel: KernelClient): Promise<void> {
  const running = kernel.execute("for (;;) {}");
  await new Promise((resolve) => setTimeout(resolve, 500));
  await kernel.interrupt();
  const { reply } = await running;
  if (reply.ename !== "KeyboardInterrupt") throw new Error(`not stopped: ${reply.ename}: ${reply.evalue}`);
}

/** Resident bytes of the kernel's process and of those that it started; on Linux alone. */
function processesOf(pid: number): number[] {
  const parents = readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [
        { pid: Number(name), parent: Number(readFileSync(`/proc/${name}/stat`, "utf8").split(") ")[1]?.split(" ")[1]) },
      ];
    } catch {
      return [];
    }
  });
  const bytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
  return [bytes, ...parents.filter(({ parent }) => parent === pid).flatMap((child) => processesOf(child.pid))];
}

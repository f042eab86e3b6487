import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { builtFile } from "../../src/base/package-root.ts";
import { type Execution, type KernelClient, startKernel } from "../protocol/client.ts";
import type { Content } from "../protocol/message.ts";

describe("a cell that does not end", () => {
  let kernel: KernelClient;
  const historyPath = "/dev/null";

  before(async () => {
    kernel = await startKernel({ env: { PRUNELAB_HISTORY: historyPath } });
    assert.equal((await kernel.execute("const kept = 42")).reply.status, "ok");
  });
  after(() => kernel.close());

  const resultOf = ({ messages }: Execution) =>
    (messages.find(({ header }) => header.msg_type === "execute_result")?.content.data as Content | undefined)?.[
      "text/plain"
    ];

  /** Runs a cell that prints `go` when it has begun, and stops it then. */
  async function stop(code: string): Promise<Content> {
    let hasBegun = () => {};
    const begun = new Promise<void>((resolve) => {
      hasBegun = resolve;
    });
    const execution = kernel.execute(`// @ts-nocheck\nconsole.log("go");\n${code}`, {
      onMessage: ({ header }) => {
        if (header.msg_type === "stream") hasBegun();
      },
    });
    await begun;
    // Past the sync part of the cell.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await kernel.interrupt();
    return (await execution).reply;
  }

  const stoppable = {
    "a loop": "while (true) {}",
    "a loop that catches": "while (true) { try { while (true) {} } catch {} }",
    "a promise that nobody can settle": "await new Promise(() => {})",
    "a timer": "await new Promise((resolve) => setTimeout(resolve, 600_000))",
    "a loop after an await": "await 1; while (true) {}",
    "microtasks without end": "const again = async () => { for (;;) await 1 }; await again()",
    "a loop after a timer": "await new Promise((resolve) => setTimeout(resolve, 20)); while (true) {}",
    "a loop in an interval": "setInterval(() => { while (true) {} }, 20); await new Promise(() => {})",
    "a loop after an await of Node's own":
      'import { setTimeout as sleep } from "node:timers/promises"; await sleep(20); while (true) {}',
    "microtasks without end after an await of Node's own":
      'import { setTimeout as sleep } from "node:timers/promises"; await sleep(20); const endless = async () => { for (;;) await 1 }; await endless()',
    "a loop in an immediate": "setImmediate(() => { while (true) {} }); await new Promise(() => {})",
    "a loop in a callback of a file":
      'require("node:fs").readFile("/dev/null", () => { while (true) {} }); await new Promise(() => {})',
    "a loop in a listener":
      'const target = new EventTarget(); target.addEventListener("go", () => { while (true) {} }); setTimeout(() => target.dispatchEvent(new Event("go")), 10); await new Promise(() => {})',
    "a loop that prints": 'while (true) console.log("x".repeat(50))',
    "a loop in a function of the language": "[1, 2].sort(() => { while (true) {} })",
    "ticks without end": "const tick = () => process.nextTick(tick); tick(); await new Promise(() => {})",
    "a wait on shared memory": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
    "what heeds the signal":
      'import { once } from "node:events"; await once(process, "never", { signal: interrupted })',
    "a child process": 'require("node:child_process").execSync("sleep 600")',
    "an await that catches":
      "while (true) { try { await new Promise((resolve) => setTimeout(resolve, 600_000)) } catch {} }",
  };
  for (const [name, code] of Object.entries(stoppable)) {
    it(`stops, with the state kept: ${name}`, async () => {
      const reply = await stop(code);
      assert.deepEqual([reply.status, reply.ename], ["error", "KeyboardInterrupt"], String(reply.evalue));
      const next = await kernel.execute("kept");
      assert.equal(resultOf(next), "42", JSON.stringify(next.reply));
    });
  }

  it("stops at a signal too", async () => {
    const execution = kernel.execute("while (true) {}");
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.kill(kernel.pid, "SIGINT");
    assert.equal((await execution).reply.ename, "KeyboardInterrupt");
    assert.equal(resultOf(await kernel.execute("kept")), "42");
  });

  it("stops while it waits for input", async () => {
    const execution = kernel.execute('prompt("never answered")', {
      onInput: async () => {
        await kernel.interrupt();
        return new Promise<string>(() => {});
      },
    });
    assert.equal((await execution).reply.ename, "KeyboardInterrupt");
    assert.equal(resultOf(await kernel.execute("kept")), "42");
  });

  it("is not waited for after an interrupt when nothing runs", async () => {
    await kernel.interrupt();
    assert.equal(resultOf(await kernel.execute("kept")), "42");
  });

  it("goes on after a stop, its other immediates and timers too", async () => {
    const code = `globalThis.ran = [];
setImmediate(() => { while (true) {} });
setImmediate(() => ran.push("immediate"));
setTimeout(() => ran.push("timer"), 50);
process.nextTick(() => ran.push("tick"));
await new Promise(() => {})`;
    assert.equal((await stop(code)).ename, "KeyboardInterrupt");
    const next = await kernel.execute(
      "// @ts-nocheck\nawait new Promise((done) => setTimeout(done, 200)); ran.sort().join()",
    );
    assert.equal(resultOf(next), "'immediate,tick,timer'");
  });

  it("has a signal of its own, which a later stop does not touch", async () => {
    await kernel.execute("const first = interrupted; first.aborted");
    assert.equal((await stop("await new Promise(() => {})")).ename, "KeyboardInterrupt");
    assert.equal(resultOf(await kernel.execute("[first.aborted, interrupted.aborted]")), "[ false, false ]");
  });

  it("stops inside the library between its batches, even where it never yields", async () => {
    const library = builtFile("src/base/interrupted.js");
    const reply = await stop(`const { throwIfInterrupted } = await import(${JSON.stringify(library)});
for (;;) { throwIfInterrupted(); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5) }`);
    assert.equal(reply.ename, "KeyboardInterrupt");
    assert.equal(resultOf(await kernel.execute("kept")), "42");
  });

  it("waits for native code, and ends the process only when it is stopped once more", async () => {
    const stuck = `import { writeFileSync } from "node:fs"; import { execFileSync } from "node:child_process";
execFileSync("sh", ["-c", "trap '' INT; echo ready; sleep 600"], { stdio: "inherit" })`;
    let told = () => {};
    const isTold = new Promise<void>((resolve) => {
      told = resolve;
    });
    const execution = kernel.execute(stuck, {
      onMessage: ({ content }) => {
        if (content.text === "ready\n") void kernel.interrupt();
        if (/inside native code/.test(String(content.text))) told();
      },
    });
    await isTold;
    await kernel.interrupt();
    const { reply } = await execution;
    assert.equal(reply.ename, "KernelRestarted");
    assert.match(String(reply.evalue), /variables are lost/);
    // The checker has forgotten the names too.
    assert.match(String((await kernel.execute("kept")).reply.evalue), /Cannot find name 'kept'/);
    assert.equal(resultOf(await kernel.execute("1 + 1")), "2");
    await kernel.execute("const kept = 42");
  });

  it("may end its process, in any way, and the kernel lives", async () => {
    const ends = [
      "process.exit(3)",
      "process.kill(process.pid, 'SIGKILL')",
      "process.abort()",
      "setTimeout(() => process.exit(), 5); await new Promise(() => {})",
    ];
    for (const code of ends) {
      const { reply } = await kernel.execute(`console.log("last words"); ${code}`);
      assert.equal(reply.ename, "KernelRestarted", code);
    }
    const { reply, messages } = await kernel.execute("console.log('printed'); process.exit(7)");
    assert.match(String(reply.evalue), /exit code 7/);
    assert.equal(messages.find(({ header }) => header.msg_type === "stream")?.content.text, "printed\n");
    assert.equal(resultOf(await kernel.execute("2 + 2")), "4");
  });

  it("is told when the process ends between cells", async () => {
    const heard = new Promise<Content>((resolve) => {
      kernel.listen((_channel, { header, content }) => {
        if (header.msg_type === "error" && content.ename === "KernelRestarted") resolve(content);
      });
    });
    await kernel.execute("void setTimeout(() => process.exit(9), 50)");
    assert.match(String((await heard).evalue), /exit code 9/);
    assert.equal(resultOf(await kernel.execute("3 + 3")), "6");
  });

  it("does not keep the kernel from shutting down, and dies with it", async () => {
    const other = await startKernel({ env: { PRUNELAB_HISTORY: historyPath } });
    const pid = Number(resultOf(await other.execute("process.pid")));
    const running = other.execute("while (true) {}").catch((error: Error) => error.message);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await other.close();
    assert.match(String(await running), /the kernel died/);
    await assertGone(pid);
  });

  it("dies with a kernel that is killed", async () => {
    const other = await startKernel({ env: { PRUNELAB_HISTORY: historyPath } });
    const pid = Number(resultOf(await other.execute("process.pid")));
    void other.execute("while (true) {}").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.kill(other.pid, "SIGKILL");
    await other.exited;
    await other.close();
    await assertGone(pid);
  });
});

/** A process may take a moment to go. */
async function assertGone(pid: number): Promise<void> {
  for (let i = 0; i < 100; i++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  process.kill(pid, "SIGKILL");
  assert.fail("the process of the cells outlived its kernel");
}

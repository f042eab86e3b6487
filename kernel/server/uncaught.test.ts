import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Execution, type KernelClient, startKernel } from "../protocol/client.ts";
import type { Content } from "../protocol/message.ts";

describe("an error that nobody catches", () => {
  let kernel: KernelClient;
  let pid: string | undefined;

  const resultOf = ({ messages }: Execution) =>
    (messages.find(({ header }) => header.msg_type === "execute_result")?.content.data as Content | undefined)?.[
      "text/plain"
    ] as string | undefined;

  before(async () => {
    kernel = await startKernel({ env: { PRUNELAB_HISTORY: "/dev/null" }, args: ["--no-check"] });
    pid = resultOf(await kernel.execute("let keep = 42; process.pid"));
  });
  after(() => kernel.close());

  const failing: Record<string, [code: string, message: string]> = {
    "in a tick": ['process.nextTick(() => { throw new Error("tick") })', "tick"],
    "in a tick of a tick": ['process.nextTick(() => process.nextTick(() => { throw new Error("tick 2") }))', "tick 2"],
    "in several ticks": ['for (let i = 0; i < 5; i++) process.nextTick(() => { throw new Error("t" + i) })', "t0"],
    "in a microtask": ['queueMicrotask(() => { throw new Error("microtask") })', "microtask"],
    "in a rejected promise": ['Promise.reject(new Error("left alone"))', "left alone"],
    "in a stream without listener": [
      'new (require("node:stream").Readable)({ read() {} }).destroy(new Error("destroyed"))',
      "destroyed",
    ],
    "in a write after the end": [
      'const sink = new (require("node:stream").PassThrough)(); sink.end(); sink.write("x")',
      "write after end",
    ],
    "in a child that cannot start": [
      'require("node:child_process").spawn("no-such-command")',
      "spawn no-such-command ENOENT",
    ],
    "in a listener of an EventTarget": [
      'const target = new EventTarget(); target.addEventListener("x", () => { throw new Error("listener") }); target.dispatchEvent(new Event("x"))',
      "listener",
    ],
    "in a listener of a signal": [
      'const stop = new AbortController(); stop.signal.addEventListener("abort", () => { throw new Error("abort") }); stop.abort()',
      "abort",
    ],
    "in an emitter without listener": [
      'const { EventEmitter } = require("node:events"); process.nextTick(() => new EventEmitter().emit("error", new Error("emitted")))',
      "emitted",
    ],
    "that is emitted by hand": ['process.emit("uncaughtException", new Error("by hand"))', "by hand"],
    "that is emitted by hand after an await": [
      'await 1; process.emit("uncaughtException", new Error("later by hand"))',
      "later by hand",
    ],
    "in a timer": ['setTimeout(() => { throw new Error("timer") }, 5); await new Promise(() => {})', "timer"],
    "in an interval": [
      'setInterval(() => { throw new Error("interval") }, 5); await new Promise(() => {})',
      "interval",
    ],
    "in an immediate": [
      'setImmediate(() => { throw new Error("immediate") }); await new Promise(() => {})',
      "immediate",
    ],
    "in a worker": [
      'new (require("node:worker_threads").Worker)("throw new Error(\'in the worker\')", { eval: true }); await new Promise(() => {})',
      "in the worker",
    ],
    "in a file that is not there": [
      'require("node:fs").createReadStream("/no/such/file"); await new Promise(() => {})',
      "ENOENT: no such file or directory, open '/no/such/file'",
    ],
    "in a socket": [
      'require("node:net").connect(1, "127.0.0.1"); await new Promise(() => {})',
      "connect ECONNREFUSED 127.0.0.1:1",
    ],
    "in a trap of WebAssembly": [
      "new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,7,5,1,1,102,0,0,10,5,1,3,0,0,11]))).exports.f()",
      "unreachable",
    ],
    "in a trap of WebAssembly in a tick": [
      "process.nextTick(new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,7,5,1,1,102,0,0,10,5,1,3,0,0,11]))).exports.f)",
      "unreachable",
    ],
    "of a stack without end": ["const deep = () => deep(); process.nextTick(deep)", "Maximum call stack size exceeded"],
    "that is not an error": ["process.nextTick(() => { throw undefined })", "undefined"],
    "whose own parts throw": [
      'process.nextTick(() => { throw Object.defineProperty(new Error("told"), "detail", { enumerable: true, get() { throw 1 } }) })',
      "told",
    ],
    "after the listeners were removed": [
      'process.removeAllListeners("uncaughtException"); process.nextTick(() => { throw new Error("still told") })',
      "still told",
    ],
  };
  for (const [name, [code, message]] of Object.entries(failing)) {
    it(`fails its cell and costs no variable: ${name}`, async () => {
      const { reply } = await kernel.execute(code);
      assert.equal(reply.status, "error", JSON.stringify(reply));
      assert.equal(reply.evalue, message);
      assert.equal(resultOf(await kernel.execute("[keep, process.pid]")), `[ 42, ${pid} ]`);
    });
  }

  it("marks its cell when that has ended", async () => {
    const late: string[] = [];
    const stop = kernel.listen((channel, { header, parent, content }) => {
      if (channel === "iopub" && header.msg_type === "error") late.push(`${parent.msg_id} ${content.evalue}`);
    });
    const { messages } = await kernel.execute(
      "void setTimeout(() => process.nextTick(() => { throw new Error('much later') }), 50)",
    );
    const id = messages[0]?.parent.msg_id;
    await kernel.execute("await new Promise((done) => setTimeout(done, 400))");
    stop();
    assert.deepEqual(
      late.filter((line) => line.startsWith(String(id))),
      [`${id} much later`],
    );
    assert.equal(resultOf(await kernel.execute("keep")), "42");
  });

  it("is told at most ten times where it comes again and again", async () => {
    let count = 0;
    const stop = kernel.listen((channel, { header, content }) => {
      if (channel === "iopub" && header.msg_type === "error" && content.evalue === "again") count++;
    });
    await kernel.execute("const again = setInterval(() => { throw new Error('again') }, 2)");
    await kernel.execute("await new Promise((done) => setTimeout(done, 300)); clearInterval(again)");
    stop();
    assert.ok(count >= 1 && count <= 11, `${count} times`);
  });

  it("lets the other ticks, promises and timers of the cell run", async () => {
    const code = `globalThis.ran = [];
process.nextTick(() => ran.push("a"));
process.nextTick(() => { throw new Error("b") });
process.nextTick(() => ran.push("c"));
Promise.resolve().then(() => ran.push("d"));
setTimeout(() => ran.push("e"), 1);`;
    assert.equal((await kernel.execute(code)).reply.evalue, "b");
    assert.equal(
      resultOf(await kernel.execute("await new Promise((done) => setTimeout(done, 50)); ran.join()")),
      "'a,c,d,e'",
    );
  });
});

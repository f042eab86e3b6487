import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Execution, type KernelClient, startKernel } from "../protocol/client.ts";
import type { Content } from "../protocol/message.ts";

describe("a cell as people write it", () => {
  let kernel: KernelClient;
  const run = (code: string) => kernel.execute(code);

  before(async () => {
    kernel = await startKernel({ env: { PRUNELAB_HISTORY: "/dev/null" }, args: ["--no-check"] });
  });
  after(() => kernel.close());

  const printed = ({ messages }: Execution, name = "stdout") =>
    messages
      .filter(({ header, content }) => header.msg_type === "stream" && content.name === name)
      .map(({ content }) => content.text)
      .join("");
  const resultOf = ({ messages }: Execution) =>
    (messages.find(({ header }) => header.msg_type === "execute_result")?.content.data as Content | undefined)?.[
      "text/plain"
    ];

  it("prints half a character as U+FFFD, since no notebook could be saved with it", async () => {
    assert.equal(printed(await run('console.log("😀".slice(0, 1))')), "\ufffd\n");
    assert.equal(printed(await run('process.stdout.write("a\\udc00b😀")')), "a\ufffdb😀");
    assert.equal(resultOf(await run('"\\\\ud83d 😀"')), "'\\\\ud83d 😀'");
    const { reply } = await run('throw new Error("\\ud83d")');
    assert.equal(reply.evalue, "\ufffd");
    const { messages } = await run('display({ "application/json": { "\\ud83d": ["\\ude00"] } })');
    const shown = messages.find(({ header }) => header.msg_type === "display_data")?.content.data as Content;
    assert.deepEqual(shown["application/json"], { "\ufffd": ["\ufffd"] });
  });

  it("cuts long text between characters", async () => {
    for (const offset of ["", "a"]) {
      const long = `"${offset}" + "😀".repeat(150_000)`;
      const { evalue } = (await run(`throw new Error(${long})`)).reply;
      assert.match(String(evalue).slice(-5), /😀…$/u);
      const shown = `Array.from({ length: 100 }, () => ${long.replace("150_000", "4_000")})`;
      const cut = String(resultOf(await run(shown))).slice(0, 200_100);
      assert.ok(!cut.includes("\ufffd") && /😀… \d+ more characters$/u.test(cut), cut.slice(-40));
    }
  });

  it("sees its warnings", async () => {
    assert.match(printed(await run('process.emitWarning("careful")'), "stderr"), /Warning: careful/);
    assert.match(
      printed(await run('process.emitWarning("old", "DeprecationWarning", "DEP9")'), "stderr"),
      /\[DEP9\] DeprecationWarning: old/,
    );
    const emitter =
      'const e = new (require("node:events").EventEmitter)(); for (let i = 0; i < 12; i++) e.on("x", () => {})';
    assert.match(printed(await run(emitter), "stderr"), /MaxListenersExceededWarning/);
  });

  it("pipes into process.stdout, ends it, and prints again", async () => {
    const imports =
      'const { Readable } = require("node:stream"); const { pipeline, finished } = require("node:stream/promises");';
    assert.equal(
      printed(await run(`${imports} await pipeline(Readable.from(["a"]), process.stdout); console.log("b")`)),
      "ab\n",
    );
    assert.equal(printed(await run(`${imports} await pipeline(Readable.from(["e"]), process.stderr)`), "stderr"), "e");
    const ended = "await new Promise((done) => process.stdout.end('c', done)); console.log('d')";
    assert.equal(printed(await run(ended)), "cd\n");
    const { reply } = await run(
      `${imports} await pipeline(Readable.from((async function* () { yield "x"; throw new Error("source") })()), process.stdout)`,
    );
    assert.equal(reply.evalue, "source");
    assert.equal(printed(await run("console.log('still there')")), "still there\n");
  });

  it("has timers that are Node's own", async () => {
    const clears =
      "let count = 0; await new Promise((done) => setInterval(function () { count++; clearInterval(this); setTimeout(done, 60) }, 20)); count";
    assert.equal(resultOf(await run(clears)), "1");
    assert.equal(
      resultOf(await run("[setTimeout, setInterval, setImmediate].map((f) => f === require('node:timers')[f.name])")),
      "[ true, true, true ]",
    );
    assert.equal(
      resultOf(await run("await new Promise((done) => setTimeout(function () { done(typeof this.refresh) }, 1))")),
      "'function'",
    );
    assert.equal(resultOf(await run("await require('node:util').promisify(setTimeout)(1, 'v')")), "'v'");
  });

  it("shows a bundle", async () => {
    const { messages } = await run('display({ "text/html": "<b>x</b>" })');
    const shown = messages.find(({ header }) => header.msg_type === "display_data")?.content.data as Content;
    assert.equal(shown["text/html"], "<b>x</b>");
  });

  it("shows promises without the kernel's own marks", async () => {
    assert.equal(resultOf(await run("Promise.resolve(1)")), "Promise { 1 }");
    assert.doesNotMatch(String(resultOf(await run("({ p: Promise.resolve({ a: 1 }) })"))), /Symbol|owner/);
  });
});

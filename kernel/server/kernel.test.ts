import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Execution, type KernelClient, startKernel } from "../protocol/client.ts";
import type { Content } from "../protocol/message.ts";

/** The contents of the messages of one type. */
function contents(execution: Execution, type: string): Content[] {
  return execution.messages.filter(({ header }) => header.msg_type === type).map(({ content }) => content);
}

function text(execution: Execution, name = "stdout"): string {
  return contents(execution, "stream")
    .filter((content) => content.name === name)
    .map((content) => content.text)
    .join("");
}

function mime(content: Content | undefined, type: string): unknown {
  return (content?.data as Content | undefined)?.[type];
}

function result(execution: Execution): unknown {
  return mime(contents(execution, "execute_result")[0], "text/plain");
}

function traceback(execution: Execution): string {
  return (execution.reply.traceback as string[]).join("\n");
}

describe("the kernel", () => {
  let kernel: KernelClient;
  let folder: string;
  const run = (code: string) => kernel.execute(code);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "prunelab-notebook-"));
    kernel = await startKernel({ cwd: folder, env: { PRUNELAB_HISTORY: join(folder, "history.jsonl") } });
  });
  after(async () => {
    await kernel.close();
    rmSync(folder, { recursive: true });
  });

  it("says what it is", () => {
    assert.equal(kernel.info.status, "ok");
    assert.equal(kernel.info.implementation, "prunelab");
    assert.equal((kernel.info.language_info as Content).name, "typescript");
  });

  it("echoes the input, gives the result in plain text, and counts", async () => {
    const first = await run('"abc".toUpperCase()');
    const second = await run("1 + 2");
    assert.deepEqual(
      first.messages.map(({ header }) => header.msg_type),
      ["execute_input", "execute_result"],
    );
    assert.equal(result(first), "'ABC'");
    assert.equal(result(second), "3");
    assert.equal(second.reply.execution_count, (first.reply.execution_count as number) + 1);
  });

  it("shows no result for statements and for undefined", async () => {
    for (const code of ["const quiet = 1", "for (const x of [1, 2]) x + 1", "undefined", "if (true) { 5 }", ""]) {
      assert.equal(result(await run(code)), undefined, code);
    }
  });

  it("lets every declaration be made again, as anything", async () => {
    for (const code of ["const again = 1", "let again = 2", "function again() {}", "class again {}", "var again = 3"]) {
      assert.equal((await run(code)).reply.status, "ok", code);
    }
    await run("enum Colour { Red }");
    assert.equal(result(await run("enum Colour { Blue }\nColour")), "{ '0': 'Blue', Blue: 0 }");
  });

  it("awaits at the top level, everywhere", async () => {
    assert.equal(result(await run("await (async () => 3)()")), "3");
    assert.equal(text(await run("for await (const x of [1, Promise.resolve(2)]) console.log(x)")), "1\n2\n");
    assert.equal(result(await run("if (true) { await 1 }\n[await 4, await (5)]")), "[ 4, 5 ]");
  });

  it("checks types before it runs, and keeps the state when they are wrong", async () => {
    await run("let kept: number = 1");
    const wrong = await run('kept = 2;\nkept = "x";');
    assert.equal(wrong.reply.status, "error");
    assert.equal(wrong.reply.evalue, "TS2322: Type 'string' is not assignable to type 'number'.");
    assert.match(traceback(wrong), /cell \d+, line 2, column 1\n---> 2 \| kept = "x";\n {5}. \| \^\^\^\^$/);
    assert.equal(result(await run("kept")), "1");
  });

  it("runs an unchecked cell on request, and knows its names afterwards", async () => {
    assert.equal(result(await run("// @ts-nocheck\nconst loose: number = 'x'; loose")), "'x'");
    assert.equal(result(await run("loose.length")), "1");
  });

  it("tells an error by the user's own lines", async () => {
    await run(
      "interface Shape { sides: number }\n\nfunction fail(shape: Shape): never {\n  throw new RangeError('no ' + shape.sides);\n}",
    );
    const failed = await run("async function outer() {\n  await 1;\n  fail({ sides: 3 });\n}\nawait outer();");
    assert.equal(failed.reply.ename, "RangeError");
    assert.equal(failed.reply.evalue, "no 3");
    const lines = traceback(failed);
    assert.match(lines, /^RangeError: no 3\n {4}at fail \(cell \d+, line 4, column 9\)/);
    assert.match(lines, /---> 4 \| {3}throw new RangeError/);
    assert.match(lines, /at outer \(cell \d+, line 3, column 3\)/);
    assert.match(lines, /at async \(cell \d+, line 5, column 1\)|at \(cell \d+, line 5, column 1\)/);
    assert.doesNotMatch(lines, /node:|dist|worker|prunelab/);
    assert.deepEqual(contents(failed, "error")[0]?.traceback, failed.reply.traceback);
  });

  it("reports what is thrown that is not an error", async () => {
    const thrown = await run("throw { code: 7 }");
    assert.deepEqual([thrown.reply.ename, thrown.reply.evalue], ["Uncaught", "{ code: 7 }"]);
    const hostile = await run("throw new Proxy(new Error('x'), { get() { throw 1 } })");
    assert.equal(hostile.reply.status, "error");
    const cause = await run("throw new Error('outer', { cause: new TypeError('inner') })");
    assert.match(traceback(cause), /Caused by: TypeError: inner/);
  });

  it("imports built-in modules, packages with exports, local TypeScript, JSON, and gives require and import.meta", async () => {
    const packageFolder = join(folder, "node_modules", "only-exports");
    mkdirSync(packageFolder, { recursive: true });
    writeFileSync(
      join(packageFolder, "package.json"),
      '{"name":"only-exports","type":"module","exports":{"./deep":{"types":"./d.d.ts","import":"./d.mjs"}}}',
    );
    writeFileSync(join(packageFolder, "d.mjs"), "export const deep = await Promise.resolve(5);");
    writeFileSync(join(packageFolder, "d.d.ts"), "export declare const deep: number;");
    writeFileSync(
      join(folder, "local.ts"),
      "export enum Kind { A = 3 }\nexport const half = (x: number): number => x / 2;",
    );
    writeFileSync(join(folder, "data.json"), '{"a": [1]}');
    assert.equal(result(await run('import { basename } from "node:path"; basename("/a/b")')), "'b'");
    assert.equal(result(await run('import { deep } from "only-exports/deep"; deep + 1')), "6");
    assert.equal(result(await run('import { half, Kind } from "./local.ts"; half(Kind.A)')), "1.5", "a local file");
    assert.equal(result(await run('import data from "./data.json" with { type: "json" }; data.a[0]')), "1");
    assert.equal(result(await run('(await import("node:path")).basename("/c/d")')), "'d'");
    assert.equal(result(await run('require("node:path").sep + __dirname.length')), `'/${folder.length}'`);
    assert.match(String(result(await run("import.meta.url"))), /^'file:.*\/notebook\.ipynb'$/);
    const missing = await run('// @ts-nocheck\nimport "no-such-package"');
    assert.match(String(missing.reply.evalue), /no-such-package/);
  });

  it("reads a local file again after it changed", async () => {
    writeFileSync(join(folder, "changing.ts"), "export const value: number = 1;");
    assert.equal(result(await run('import { value } from "./changing.ts"; value')), "1");
    writeFileSync(join(folder, "changing.ts"), "export const value: number = 22;");
    assert.equal(result(await run('import { value } from "./changing.ts"; value')), "22");
  });

  it("joins a flood of lines, whole and in order", async () => {
    const { messages } = await run("for (let i = 0; i < 20_000; i++) console.log('line', i)");
    const flood = messages.filter(({ header }) => header.msg_type === "stream");
    const lines = flood
      .map(({ content }) => content.text)
      .join("")
      .split("\n");
    assert.equal(lines.length, 20_001);
    assert.ok(lines.slice(0, -1).every((line, i) => line === `line ${i}`));
    assert.ok(flood.length < 300, `${flood.length} messages`);
  });

  it("captures process.stdout, file descriptors and child processes", async () => {
    const execution = await run(`process.stdout.write("direct\\n");
require("node:fs").writeSync(2, "descriptor\\n");
require("node:child_process").execSync("echo child", { stdio: "inherit" });`);
    assert.match(text(execution), /direct\n/);
    assert.match(text(execution), /child\n/);
    assert.equal(text(execution, "stderr"), "descriptor\n");
  });

  it("gives late output, and late errors, to the cell that started them", async () => {
    const late: string[] = [];
    const stop = kernel.listen((channel, { header, parent, content }) => {
      if (channel === "iopub" && header.msg_type !== "status")
        late.push(`${parent.msg_id}:${content.text ?? content.evalue}`);
    });
    const first = await run("void setTimeout(() => { console.log('late'); throw new Error('later') }, 50)");
    const id = first.messages[0]?.parent.msg_id;
    await run("await new Promise((resolve) => setTimeout(resolve, 300))");
    stop();
    assert.ok(late.includes(`${id}:late\n`), late.join());
    assert.ok(late.includes(`${id}:later`), late.join());
  });

  it("fails the cell whose promise or timer fails while it runs", async () => {
    assert.equal((await run("Promise.reject(new Error('left alone'))")).reply.evalue, "left alone");
    const timer = "setTimeout(() => { throw new Error('timer') }, 10); await new Promise(() => {})";
    assert.equal((await run(timer)).reply.evalue, "timer");
    assert.equal(result(await run("1 + 1")), "2");
  });

  it("displays, updates and clears", async () => {
    const shown = await run(`display(html\`<b>\${"<x>"}</b>\`, { id: "one" });
display(md\`**new**\`, { id: "one", update: true });
clearOutput({ wait: true });
display({ [Symbol.for("Jupyter.display")]: async () => ({ "text/plain": "slow" }) });`);
    const [first] = contents(shown, "display_data");
    assert.equal(mime(first, "text/html"), "<b>&lt;x&gt;</b>");
    assert.deepEqual(first?.transient, { display_id: "one" });
    assert.equal(mime(contents(shown, "update_display_data")[0], "text/markdown"), "**new**");
    assert.deepEqual(contents(shown, "clear_output"), [{ wait: true }]);
    assert.equal(mime(contents(shown, "display_data")[1], "text/plain"), "slow");
  });

  it("shows even values that fight back", async () => {
    const hostile = [
      "new Proxy({}, { get() { throw new Error('no') } })",
      "({ get bad() { throw new Error('no') } })",
      "({ [Symbol.for('Jupyter.display')]() { throw new Error('no') } })",
      "({ [Symbol.for('Jupyter.display')]: () => 5 })",
      "({ [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('no') } })",
      "const circle: any = {}; circle.self = circle; circle",
      "({ [Symbol.for('Jupyter.display')]: () => ({ 'application/json': circle }) })",
    ];
    for (const code of hostile) {
      const execution = await run(code);
      assert.equal(execution.reply.status, "ok", code);
      assert.equal(typeof result(execution), "string", code);
    }
  });

  it("runs notebooks written for tslab", async () => {
    const shown = await run(
      'import { display, newDisplay } from "tslab";\nconst d = newDisplay(); d.html("<i>a</i>"); d.html("<i>b</i>"); display.text("t")',
    );
    assert.deepEqual(
      shown.messages.slice(1).map(({ header }) => header.msg_type),
      ["display_data", "update_display_data", "display_data"],
    );
  });

  it("honours silent, store_history and user_expressions", async () => {
    const before = (await run("0")).reply.execution_count;
    const silent = await kernel.execute("console.log('still'); 5", { silent: true });
    assert.deepEqual(
      silent.messages.map(({ header }) => header.msg_type),
      ["stream"],
    );
    const unstored = await kernel.execute("6", { storeHistory: false });
    assert.equal(unstored.reply.execution_count, before);
    const asked = await kernel.execute("const base = 20", { userExpressions: { sum: "base + 1", bad: "nope()" } });
    const { sum, bad } = asked.reply.user_expressions as Record<string, Content>;
    assert.deepEqual(sum?.data, { "text/plain": "21" });
    assert.deepEqual([bad?.status, bad?.ename], ["error", "ReferenceError"]);
  });

  it("aborts what is queued after an error, and only that", async () => {
    const [, second, third] = await Promise.all([run("throw 1"), run("2"), run("3")]);
    assert.deepEqual([second?.reply.status, third?.reply.status], ["aborted", "aborted"]);
    const [, going] = await Promise.all([kernel.execute("throw 1", { stopOnError: false }), run("4")]);
    assert.equal(result(going as Execution), "4");
    assert.equal(result(await run("5")), "5");
  });

  it("asks for input, and says so where it cannot", async () => {
    const onInput = (prompt: string, password: boolean) =>
      password ? "secret" : prompt.includes("sure") ? "yes" : "Ada";
    const asked = await kernel.execute('[prompt("name?"), confirm("sure?"), promptPassword()]', { onInput });
    assert.equal(result(asked), "[ 'Ada', true, 'secret' ]");
    assert.match(String((await run('prompt("name?")')).reply.evalue), /cannot ask for input/);
  });

  it("pages documentation", async () => {
    const { reply } = await run("?Math.abs");
    const [page] = reply.payload as Content[];
    assert.equal(page?.source, "page");
    assert.match(String(mime(page, "text/plain")), /absolute value/);
  });

  it("helps those who type IPython's words, and leaves a console at exit", async () => {
    const { reply } = await run("!ls -l");
    assert.match((reply.traceback as string[]).at(-1) ?? "", /execSync\("ls -l"/);
    assert.match(((await run("%time 1")).reply.traceback as string[]).at(-1) ?? "", /%time is IPython's/);
    const left = await run("exit");
    assert.deepEqual([left.reply.status, left.reply.payload], ["ok", [{ source: "ask_exit", keepkernel: false }]]);
    await run("const quit = 7");
    assert.equal(result(await run("quit")), "7");
  });

  it("completes from types, at code points", async () => {
    await run("const record = { alpha: 1, beta: () => 2 }");
    const code = '"😀"; record.al';
    const { content } = await kernel.request("complete_request", { code, cursor_pos: [...code].length });
    assert.deepEqual(content.matches, ["alpha"]);
    assert.equal(content.cursor_start, [...code].length - 2);
    const methods = await kernel.request("complete_request", { code: "record.be", cursor_pos: 9 });
    const [item] = (methods.content.metadata as Content)._jupyter_types_experimental as Content[];
    assert.equal(item?.text, "beta");
    assert.match(String(item?.signature), /\(\) => number|beta\(\): number/);
  });

  it("inspects with signature and documentation", async () => {
    const { content } = await kernel.request("inspect_request", { code: "Math.abs", cursor_pos: 8, detail_level: 0 });
    assert.equal(content.found, true);
    assert.match(
      String((content.data as Content)["text/markdown"]),
      /```typescript\n\(method\) Math\.abs\(x: number\): number/,
    );
    const inside = await kernel.request("inspect_request", { code: "Math.max(1, (2), ", cursor_pos: 17 });
    assert.match(String(mime(inside.content, "text/plain")), /Math\.max/);
    for (const [code, pattern] of [
      ["console", /const console: Console|var console: Console/],
      ["clearOutput", /Removes the outputs of the cell/],
      ['import { readFileSync } from "node:fs"; readFileSync', /Returns the contents of the `path`/],
    ] as const) {
      const found = await kernel.request("inspect_request", { code, cursor_pos: code.length });
      assert.match(String(mime(found.content, "text/plain")), pattern);
    }
    const nothing = await kernel.request("inspect_request", { code: "nope_nope", cursor_pos: 4 });
    assert.equal(nothing.content.found, false);
  });

  it("keeps history across sessions", async () => {
    await run("'find me'");
    const { content } = await kernel.request("history_request", {
      hist_access_type: "search",
      pattern: "*find me*",
      output: true,
    });
    assert.deepEqual((content.history as unknown[][])[0]?.[2], ["'find me'", "'find me'"]);
  });

  it("talks over comms, and closes those of unknown targets", async () => {
    const heard: string[] = [];
    const stop = kernel.listen((_channel, { header, content }) => {
      if (header.msg_type.startsWith("comm_"))
        heard.push(`${header.msg_type} ${content.comm_id} ${JSON.stringify(content.data)}`);
    });
    kernel.send("comm_open", { comm_id: "u", target_name: "unknown", data: {} });
    await run(
      `comms.register("echo", (comm, data) => { comm.send({ got: data }); comm.onMessage = (more) => comm.send({ more }) })`,
    );
    kernel.send("comm_open", { comm_id: "e", target_name: "echo", data: 1 });
    kernel.send("comm_msg", { comm_id: "e", data: 2 });
    await run("comms.open('front', { hello: 1 })");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { content } = await kernel.request("comm_info_request", { target_name: "echo" });
    stop();
    assert.ok(heard.includes("comm_close u {}"), heard.join());
    assert.ok(heard.includes('comm_msg e {"got":1}'), heard.join());
    assert.ok(heard.includes('comm_msg e {"more":2}'), heard.join());
    assert.ok(
      heard.some((line) => /comm_open .* {"hello":1}/.test(line)),
      heard.join(),
    );
    assert.deepEqual(content.comms, { e: { target_name: "echo" } });
  });

  it("answers while a cell runs", async () => {
    const flag = join(folder, "go-on");
    const busy = run(`while (!require("node:fs").existsSync(${JSON.stringify(flag)})) {}`);
    let hasEnded = false;
    void busy.then(() => {
      hasEnded = true;
    });
    const { content } = await kernel.request("complete_request", { code: "Math.ab", cursor_pos: 7 });
    assert.deepEqual(content.matches, ["abs"]);
    assert.equal((await kernel.request("kernel_info_request")).content.status, "ok");
    assert.equal(hasEnded, false);
    writeFileSync(flag, "");
    assert.equal((await busy).reply.status, "ok");
  });

  it("leaves unknown requests unanswered, and lives", async () => {
    kernel.send("nonsense_request", {});
    assert.equal(result(await run("1")), "1");
    assert.match(kernel.log(), /unknown request.*nonsense_request/);
  });
});

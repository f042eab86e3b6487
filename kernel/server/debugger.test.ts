import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type KernelClient, startKernel } from "../protocol/client.ts";
import type { Content } from "../protocol/message.ts";
import { murmur2 } from "./murmur2.ts";

it("names cells as JupyterLab does", () => {
  // As ipykernel's murmur2_x86 gives them.
  assert.equal(murmur2("", 0xc70f6907), 3990065800);
  assert.equal(murmur2("a", 0xc70f6907), 2167009006);
  assert.equal(murmur2("abc", 0xc70f6907), 3350977461);
  assert.equal(murmur2("const a = 1", 0xc70f6907), 3982997142);
  assert.equal(murmur2("é😀x", 0xc70f6907), 2319415465);
  assert.notEqual(murmur2("const a = 1", 0xc70f6907), murmur2("const a = 2", 0xc70f6907));
});

describe("the debugger", () => {
  let kernel: KernelClient;
  let seq = 0;
  const events: Content[] = [];
  let wake = () => {};

  before(async () => {
    kernel = await startKernel({ env: { PRUNELAB_HISTORY: "/dev/null" }, args: ["--no-check"] });
    kernel.listen((channel, { header, content }) => {
      if (channel !== "iopub" || header.msg_type !== "debug_event") return;
      events.push(content);
      wake();
    });
  });
  after(() => kernel.close());

  async function ask(command: string, given: Content = {}): Promise<Content> {
    const { content } = await kernel.request(
      "debug_request",
      { type: "request", seq: ++seq, command, arguments: given },
      "control",
    );
    assert.deepEqual([content.type, content.command, content.request_seq], ["response", command, seq]);
    assert.equal(content.success, true, `${command}: ${content.message}`);
    return content.body as Content;
  }

  /** Waits for an event that has not been waited for yet. */
  async function heard(name: string): Promise<Content> {
    for (;;) {
      const at = events.findIndex(({ event }) => event === name);
      if (at >= 0) return events.splice(0, at + 1).at(-1)?.body as Content;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  const names = (body: Content) => (body.variables as Content[]).map(({ name, value }) => `${name} = ${value}`);

  it("lists and shows variables before anything is attached", async () => {
    assert.equal((await ask("debugInfo")).isStarted, false);
    await kernel.execute("let count = 3; const user = { name: 'Ada', tags: [1, 2] }; class Shape {}");
    const listed = await ask("inspectVariables");
    assert.ok(names(listed).includes("count = 3") && names(listed).includes("user = Object"), names(listed).join());
    const [count, user] = ["count", "user"].map((name) =>
      (listed.variables as Content[]).find((each) => each.name === name),
    );
    assert.deepEqual([count?.type, user?.type], [undefined, "Object"]);
    const inside = await ask("variables", { variablesReference: user?.variablesReference });
    assert.deepEqual(
      names(inside),
      ['name = "Ada"', "tags = Array(2)", "[[Prototype]] = Object"].slice(0, names(inside).length),
    );
    const rich = await ask("richInspectVariables", { variableName: "user" });
    assert.equal((rich.data as Content)["text/plain"], "{ name: 'Ada', tags: [ 1, 2 ] }");
  });

  it("stops at breakpoints, shows where and what, steps, evaluates and goes on", async () => {
    await ask("initialize", { clientID: "test" });
    await ask("attach");
    await heard("initialized");
    assert.equal((await ask("debugInfo")).isStarted, true);
    const source = "function twice(x: number) {\n  const y = x * 2;\n  return y;\n}\nconst got = twice(21);\ngot + 0";
    const { sourcePath } = await ask("dumpCell", { code: source });
    const set = await ask("setBreakpoints", { source: { path: sourcePath }, breakpoints: [{ line: 3 }] });
    assert.deepEqual(
      (set.breakpoints as Content[]).map(({ line, verified }) => [line, verified]),
      [[3, true]],
    );
    await ask("configurationDone");
    const running = kernel.execute(source);
    const stopped = await heard("stopped");
    assert.deepEqual([stopped.reason, stopped.threadId], ["breakpoint", 1]);
    const { stackFrames } = (await ask("stackTrace", { threadId: 1 })) as { stackFrames: Content[] };
    assert.deepEqual(
      stackFrames.map(({ name, line }) => [name, line]),
      [
        ["twice", 3],
        ["(cell)", 5],
      ],
    );
    assert.equal(((stackFrames[0] as Content).source as Content).path, sourcePath);
    const { scopes } = (await ask("scopes", { frameId: stackFrames[0]?.id })) as { scopes: Content[] };
    const locals = await ask("variables", { variablesReference: scopes[0]?.variablesReference });
    assert.ok(names(locals).includes("x = 21") && names(locals).includes("y = 42"), names(locals).join());
    assert.equal((await ask("evaluate", { expression: "y + count", frameId: 1 })).result, "45");
    assert.equal((await ask("source", { source: { path: sourcePath } })).content, source);
    await ask("stepOut");
    await heard("stopped");
    const after = ((await ask("stackTrace")) as { stackFrames: Content[] }).stackFrames;
    assert.equal(after[0]?.name, "(cell)");
    await ask("continue");
    await heard("continued");
    assert.equal((await running).reply.status, "ok");
  });

  it("stops the cell where it stands when the user interrupts it", async () => {
    const source = "let at = 0;\nfor (;;) {\n  at++;\n}";
    const { sourcePath } = await ask("dumpCell", { code: source });
    await ask("setBreakpoints", { source: { path: sourcePath }, breakpoints: [{ line: 3 }] });
    const running = kernel.execute(source);
    await heard("stopped");
    await kernel.interrupt();
    assert.equal((await running).reply.ename, "KeyboardInterrupt");
    await ask("setBreakpoints", { source: { path: sourcePath }, breakpoints: [] });
  });

  it("answers what it does not know, and lets go", async () => {
    const { content } = await kernel.request("debug_request", { type: "request", seq: 1, command: "dance" }, "control");
    assert.equal(content.success, false);
    await ask("disconnect");
    assert.equal((await ask("debugInfo")).isStarted, false);
    assert.equal((await kernel.execute("twice(2)")).reply.status, "ok");
  });
});

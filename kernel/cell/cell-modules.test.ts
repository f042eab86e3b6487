import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type KernelClient, startKernel } from "../protocol/client.ts";

describe("modules in cells", () => {
  let kernel: KernelClient;
  let folder: string;
  let second = 1_700_000_000;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "prunelab-modules-"));
    kernel = await startKernel({ cwd: folder, env: { PRUNELAB_HISTORY: join(folder, "history.jsonl") } });
  });
  after(async () => {
    await kernel.close();
    rmSync(folder, { recursive: true });
  });

  /** Files of the same size and moment would look unchanged. */
  function write(name: string, text: string): void {
    writeFileSync(join(folder, name), text);
    second += 10;
    utimesSync(join(folder, name), second, second);
  }

  async function value(code: string): Promise<unknown> {
    const { reply, messages } = await kernel.execute(code);
    if (reply.status !== "ok") return `${reply.ename}: ${reply.evalue}`;
    const result = messages.find(({ header }) => header.msg_type === "execute_result");
    return (result?.content.data as Record<string, unknown> | undefined)?.["text/plain"];
  }

  it("are read again when they change, whichever way and however deep they are imported", async () => {
    write("deep.ts", "export const n: number = await Promise.resolve(1);");
    write("middle.ts", 'import { n } from "./deep";\nexport const m = n * 10;');
    write("other.ts", "export const state = { count: 0 };");
    write("top.ts", 'export { m } from "./middle.js";\nexport { state } from "./other";');
    assert.equal(await value('import { m, state } from "./top"; state.count = 5; m'), "10");
    write("deep.ts", "export const n: number = await Promise.resolve(2);");
    assert.equal(await value('import { m, state } from "./top"; [m, state.count]'), "[ 20, 5 ]");
    write("deep.ts", "export const n: number = await Promise.resolve(3);");
    assert.equal(await value('(await import("./top.ts")).m'), "30");
    write("leaf.cjs", "exports.v = 1");
    write("stem.cjs", 'exports.v = require("./leaf.cjs").v');
    assert.equal(await value('require("./stem.cjs").v'), "1");
    assert.equal(await value('import { v } from "./stem.cjs"; v'), "1");
    write("leaf.cjs", "exports.v = 2");
    assert.equal(await value('import { v } from "./stem.cjs"; [v, require("./stem.cjs").v]'), "[ 2, 2 ]");
    write("leaf.cjs", "exports.v = 3");
    assert.equal(await value('require("./stem.cjs").v'), "3");
    write("data.json", '{ "a": 1 }');
    assert.equal(await value('import data from "./data.json" with {\n  type: "json"\n}; data.a'), "1");
    write("data.json", '{ "a": 2 }');
    assert.equal(await value('(await import("./data.json", { with: { type: "json" } })).default.a'), "2");
  });

  it("of CommonJS give every name that they export, or an error", async () => {
    const packageFolder = join(folder, "node_modules", "hidden-names");
    mkdirSync(packageFolder, { recursive: true });
    writeFileSync(join(packageFolder, "package.json"), '{ "name": "hidden-names", "main": "index.js" }');
    writeFileSync(
      join(packageFolder, "index.js"),
      "const all = {}; for (const n of ['sum', 'mean']) all[n] = (x) => n + x.length; module.exports = all;",
    );
    assert.equal(await value('import { sum } from "hidden-names"; sum([1, 2])'), "'sum2'");
    assert.equal(
      await value('import all, * as names from "hidden-names"; all.mean([1]) + names.sum([])'),
      "'mean1sum0'",
    );
    assert.equal(await value('(await import("hidden-names")).sum([1])'), "'sum1'");
    assert.match(String(await value('import { absent } from "hidden-names"')), /^SyntaxError: .*hidden-names.*absent/);
    writeFileSync(
      join(packageFolder, "interop.js"),
      "exports.__esModule = true; exports.default = 7; exports.named = 8;",
    );
    assert.equal(await value('import seven, { named } from "hidden-names/interop.js"; [seven, named]'), "[ 7, 8 ]");
    write("local.cjs", "module.exports = { a: 1, b: { c: 2 } };");
    assert.equal(await value('import * as first from "./local.cjs"; first.a + first.b.c'), "3");
    assert.equal(
      await value('import * as again from "./local.cjs"; [again.a + again.b.c, again === first]'),
      "[ 3, true ]",
    );
  });

  it("named tslab are that package's, shown here", async () => {
    const { messages } = await kernel.execute(
      'import { display, newDisplay, versions } from "tslab";\ndisplay.javascript("1"); const d = newDisplay(); d.html("a"); d.html("b"); versions.node',
    );
    const sent = messages.filter(({ header }) => /display_data$/.test(header.msg_type));
    assert.deepEqual(
      sent.map(({ header, content }) => [header.msg_type, ...Object.keys(content.data as object)]),
      [
        ["display_data", "text/javascript"],
        ["display_data", "text/html"],
        ["update_display_data", "text/html"],
      ],
    );
    assert.match(String(await value('import * as tslab from "tslab"; tslab.versions.tslab')), /^'1\./);
    assert.match(String(await value('import { nothing } from "tslab"')), /nothing/);
  });

  it("and cells run what TypeScript has beyond JavaScript", async () => {
    for (const [code, expected] of [
      ["function f(){return f.n}; namespace f { export let n = 3 }\nf()", "3"],
      ["for (var i = 0; i < 3; i++) {}\ni", "3"],
      ["let i = 5; i", "5"],
      ["{ a: 1 }", "{ a: 1 }"],
      ["await {…}".replace("…", " b: 2 "), "{ b: 2 }"],
      ["class Foo {a=1}; const foo = new Foo()", undefined],
      ["class Foo {b=2}; foo.a", "1"],
      [
        "const log: string[] = []; { using r = { [Symbol.dispose]() { log.push('gone') } }; log.push('here') } log",
        "[ 'here', 'gone' ]",
      ],
      [
        "function twice(value: any, { kind }: ClassMethodDecoratorContext) { return function (this: any) { return value.call(this) * 2 } }\nclass Deco { @twice m() { return 4 } }\nnew Deco().m()",
        "8",
      ],
      ["const enum Level { High = 9 } Level.High", "9"],
      ["var { p, ...q } = { p: 1, r: 2 }; q", "{ r: 2 }"],
      ["export default p", "1"],
      ["`\nimport x from 'nowhere' with { type: 'json' }`.length", "46"],
      ["const s = 'it's'", /SyntaxError: TS1/],
      ["// @ts-nocheck\nconst s = 'it's'", /SyntaxError: TS1/],
      ["// @ts-nocheck\nimport { nope } from 'node:path'", /SyntaxError: .*node:path.*nope/],
    ] as const) {
      const found = await value(code);
      if (expected instanceof RegExp) assert.match(String(found), expected, code);
      else assert.equal(found, expected, code);
    }
  });
});

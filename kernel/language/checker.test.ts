import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type Checker, createChecker } from "./checker.ts";
import { completeCell } from "./completion.ts";
import { inspectCell } from "./inspection.ts";

/** Runs cells through the checker one after another; each must be as the text behind `//=` says, else right. */
function check(checker: Checker, ...cells: string[]): void {
  for (const cell of cells) {
    const [source = "", expected = ""] = cell.split(" //= ");
    const { diagnostics, script, commit } = checker.check(source);
    const found = diagnostics.map(({ code }) => `TS${code}`).join(" ");
    assert.equal(found, expected, `${source}: ${diagnostics.map(({ messages }) => messages.join(" ")).join("; ")}`);
    if (diagnostics.length > 0) continue;
    script("cell-1.ts");
    commit();
  }
}

const folder = mkdtempSync(join(tmpdir(), "prunelab-language-"));
after(() => rmSync(folder, { recursive: true }));
const checker = createChecker(folder);
const cells = (...sources: string[]) => {
  checker.reset();
  check(checker, ...sources);
};

describe("cells", () => {
  it("see the latest declaration of a name, whatever it was before", () => {
    cells(
      "const a = 1",
      "let a = 'x'",
      "a.length",
      "function a() { return 1 }",
      "a() + 1",
      "class a {}",
      "new a()",
      "enum a { B }",
      "a.B",
      "type a = string",
      "a.B; const t: a = 'x'",
      "import { join as a } from 'node:path'",
      "a('x')",
      "var a = [1]",
      "a.length",
    );
  });

  it("know what the running Node has, typed or not, and their own globals", () => {
    cells(
      "const module: WebAssembly.Module = new WebAssembly.Module(new Uint8Array()); module",
      "WebAssemblyX //= TS2304",
      "const signal: AbortSignal = interrupted",
      "const text: string = interrupted //= TS2322",
      "interrupted.abort() //= TS2551",
    );
  });

  it("keep the types of older values", () => {
    cells(
      "class Foo { a = 1 }; const foo = new Foo()",
      "class Foo { b = 2 }",
      "foo.a + new Foo().b",
      "foo.b //= TS2339",
      "const other: Foo = foo //= TS2741",
    );
    cells(
      "interface Shape { sides: number }; const square: Shape = { sides: 4 }",
      "interface Shape { edges: string }",
      "square.sides",
      "const line: Shape = { edges: 'a' }",
    );
  });

  it("assign to what is not constant, with its type", () => {
    cells(
      "let x = 1; var y: string | undefined; const z = 3",
      "x = 2; y = 'a'; y.length; x++",
      "x = 'a' //= TS2322",
      "z = 4 //= TS2588",
      "z++ //= TS2588",
      "const literal = 'a' as const; let wide = literal",
      "wide = 'a'",
    );
    cells(
      "const k = 1",
      "let l = k; l = 2",
      "function f() {}",
      "class C {}",
      "f = null //= TS2588",
      "[x, y] = [1, 2] //= TS2304 TS2304",
    );
  });

  it("keep a type and a value of one name, declared together or apart", () => {
    cells(
      "const User = { parse: (_: unknown) => ({ id: 1 }) }",
      "type User = ReturnType<typeof User.parse>",
      "const u: User = User.parse(0); u.id.toFixed()",
    );
    cells(
      "type Config<T = number> = { value: T }",
      "let Config: Config = { value: 1 }",
      "Config = { value: 2 }; const c: Config<string> = { value: 'a' }",
      "Config.value.toFixed()",
    );
    cells("let N = 1; namespace N { export type T = string }", "N = 2; const t: N.T = 'a'", "N = 'a' //= TS2322");
    cells(
      "enum E { A }; namespace E { export const all = [E.A] }",
      "E.all.length; const e: E.A = E.A",
      "const enum C { X = 5 }",
      "C.X.toFixed()",
    );
    cells("function f() { return f.n }; namespace f { export let n = 3 }", "f() + f.n");
  });

  it("destructure, overload, and are generic", () => {
    cells(
      "const { a, b: [c, ...d], ...e } = { a: 1, b: ['x', 'y'], f: true }",
      "a.toFixed(); c.length; d.length; e.f",
      "function pick(x: string): string; function pick(x: number): number; function pick(x: any) { return x }",
      "pick('a').length; pick(1).toFixed()",
      "function id<T>(x: T) { return x }; class Box<T> { constructor(readonly value: T) {} }",
      "id(new Box('a')).value.length",
      "abstract class Base { abstract area(): number; #secret = 1; protected p = 2 }",
      "class Square extends Base { area() { return this.p } }",
      "new Square().area()",
      "new Base() //= TS2511",
      "new Square().p //= TS2445",
    );
  });

  it("need no declaration files", () => {
    cells(
      "function make() { interface Local { a: number } const l: Local = { a: 1 }; return l }",
      "make().a",
      "const C = class { private x = 1; get() { return this.x } }",
      "new C().get()",
      "const mixin = <T extends new (...args: any[]) => object>(Base: T) => class extends Base { private y = 1 }",
      "new (mixin(C))().get()",
      "const s = Symbol('s'); const o = { [s]: 1 }",
      "o[s].toFixed()",
    );
  });

  it("hoist var out of every place", () => {
    cells(
      "for (var i = 0; i < 3; i++) {}",
      "i.toFixed()",
      "if (true) { var j = 1 } try { var k = 2 } finally {} for (var l of [1]) {} for (var m in {}) {}",
      "j + k + l; m.length",
      "let i = 'x'",
      "i.length",
      "label: for (var n = 0; ;) { break label }",
      "n",
    );
  });

  it("read the language of today", () => {
    cells(
      "[3, 1, 2].toSorted()",
      "using r = { [Symbol.dispose]() {} }",
      "await using s = { async [Symbol.asyncDispose]() {} }",
      "@(function (value: any, context: ClassDecoratorContext) {}) class D { accessor x = 1 }",
      "new D().x",
      "const p = { a: 1 } satisfies Record<string, number>; p.a",
      "async function* g() { yield 1 }; for await (const x of g()) x.toFixed()",
      "await {a: 1}",
      "const f = async () => { await using q = { async [Symbol.asyncDispose]() {} } }",
      "import.meta.url; require('node:fs'); __dirname",
      '"use strict"; 1',
      "#!/usr/bin/env node\n1",
      "// only a comment",
      "",
      "{ a: 1 }",
      "{ let b = 1; b }",
    );
  });

  it("are modules in what they import and export", () => {
    writeFileSync(
      join(folder, "lib.ts"),
      "export const half = (x: number) => x / 2; export type T = string; export default 5;",
    );
    writeFileSync(join(folder, "data.json"), '{ "a": [1] }');
    cells(
      "import five, { half, type T } from './lib'",
      "half(five).toFixed(); const t: T = 'a'",
      "import * as lib from './lib.ts'",
      "lib.half(1); const u: lib.T = 'a'",
      "import data from './data.json' with {\n type: 'json' }",
      "data.a[0].toFixed()",
      "import older from './data.json' assert { type: 'json' }",
      "(await import('./data.json', { with: { type: 'json' } })).default.a",
      "import type { Stats } from 'node:fs'",
      "const st: Stats = null!",
      "import fs = require('fs')",
      "fs.statSync('.')",
      "export const e = 1; export { e as f }; export type G = 1; export default e",
      "e.toFixed(); const g: G = 1",
      "export { half as h } from './lib'",
      "h(1)",
      "export * from './lib'; export default class K {}",
      "new K()",
      "import { nothing } from './lib' //= TS2614",
      "import './absent' //= TS2882",
      "const text = `\nimport x from 'nowhere' with { type: 'json' }\n`",
      "import { readFile } from 'fs/promises'; readFile",
    );
  });

  it("see what earlier cells say of modules and of the world", () => {
    cells(
      "declare module 'node:fs' { interface Stats { extra?: 1 } }",
      "import { statSync } from 'node:fs'; statSync('.').extra",
      "declare global { var everywhere: number; interface Array<T> { second(): T } }",
      "everywhere.toFixed(); [1].second().toFixed()",
      "declare module 'made-up' { export const a: 1 }",
      "import { a } from 'made-up'; a.toFixed()",
      "declare const given: string",
      "given.length",
    );
  });

  it("find types of nested dependencies, and modules that come later", () => {
    const inner = join(folder, "node_modules/outer/node_modules/inner");
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, "index.d.ts"), "export class Inner { value: number }");
    writeFileSync(join(inner, "package.json"), '{ "name": "inner", "types": "index.d.ts" }');
    writeFileSync(join(inner, "../../index.d.ts"), 'import { Inner } from "inner"; export function make(): Inner;');
    writeFileSync(join(inner, "../../package.json"), '{ "name": "outer", "types": "index.d.ts" }');
    cells(
      "import { make } from 'outer'; const made = make()",
      "made.value.toFixed()",
      "import { late } from './late' //= TS2307",
    );
    writeFileSync(join(folder, "late.ts"), "export const late: number = 1;");
    check(checker, "import { late } from './late'", "late.toFixed()");
    writeFileSync(join(folder, "late.ts"), "export const late: string = 'later';");
    check(checker, "late.toFixed() //= TS2551", "late.length");
  });

  it("tell syntax errors as what they are, at their place", () => {
    const [unterminated] = checker.check("const s = 'it's'").diagnostics;
    assert.match(String(unterminated?.messages[0]), /Unterminated string literal/);
    const [wrong] = checker.check("// note\n\nconst good = 1;\n  good.bad").diagnostics;
    assert.deepEqual([wrong?.start.line, wrong?.start.character, wrong?.end.character], [3, 7, 10]);
    cells("const far = 1", "/** @jsx h */\nfar;\nfar.bad //= TS2339");
    const [near] = checker.check("/* first */ far.bad").diagnostics;
    assert.deepEqual([near?.start.line, near?.start.character], [0, 16]);
    const [meant] = checker.check('"a".toUpperCas()').diagnostics;
    assert.match(String(meant?.messages[0]), /Did you mean 'toUpperCase'/);
    const [unknown] = checker.check("basename('a')").diagnostics;
    assert.ok(
      unknown?.hints?.some((hint) => /import \{ basename \} from "(node:)?path"/.test(hint)),
      unknown?.hints?.join(),
    );
    cells("// @ts-expect-error\nfar.bad", "// @ts-ignore\nfar.bad");
  });

  it("go unchecked and are known all the same", () => {
    checker.reset();
    checker.learn("// @ts-nocheck\nconst loose: number = 'x'; type T = Nope");
    checker.learn("// @ts-nocheck\nconst typed = 1");
    check(checker, "loose.length; const t: T = 5", "typed.length //= TS2339");
  });
});

describe("completion and documentation", () => {
  it("come from the types of all cells", () => {
    cells(
      "/** What is kept. */\nexport const record = { alpha: 1, beta: () => 2 }",
      "let mutable = record",
      "class Shape { sides = 3 }",
    );
    const items = (source: string) => completeCell(checker, source, source.length).items;
    assert.deepEqual(items("record.al"), [{ text: "alpha", kind: "property", signature: "number" }]);
    assert.equal(items("function f() { mutable.be")[0]?.signature, "() => number");
    assert.deepEqual(items("reco")[0], {
      text: "record",
      kind: "const",
      signature: "{ alpha: number; beta: () => number; }",
    });
    assert.ok(items("").some(({ text, kind }) => text === "Shape" && kind === "class"));
    assert.ok(items("clearOu").some(({ text }) => text === "clearOutput"));
    const text = (source: string) => inspectCell(checker, source, source.length)?.data["text/plain"];
    assert.match(String(text("record")), /^const record: \{[\s\S]*What is kept\.$/);
    assert.match(String(text("mutable")), /^let mutable/);
    assert.match(String(text("clearOutput(")), /Removes the outputs/);
    assert.equal(text("nope_nope"), undefined);
  });
});

describe("a tsconfig.json beside the notebook", () => {
  it("counts in paths, jsx and strictness, but stops no cell for its style", () => {
    const project = join(folder, "project");
    mkdirSync(join(project, "source"), { recursive: true });
    const compilerOptions = {
      paths: { "@/*": ["./source/*"] },
      jsx: "react",
      jsxFactory: "h",
      strict: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
      noImplicitReturns: true,
      allowUnreachableCode: false,
      isolatedModules: true,
      verbatimModuleSyntax: true,
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    writeFileSync(join(project, "source", "a.ts"), "export const a: number = 1; export interface I { x: 1 }");
    const own = createChecker(project);
    check(
      own,
      "import { a, I } from '@/a'; const i: I = { x: 1 }",
      "a.toFixed()",
      "function f(unused: number) { const local = 1; if (a) return 1 }",
      "let n: string = null //= TS2322",
      "declare global { namespace JSX { interface IntrinsicElements { b: {} } } }; const h = (...all: unknown[]) => all",
      "<b>{1}</b>",
    );
    assert.match(own.check("const el = <b>{a}</b>").script("cell-1.ts").code, /h\("b", null, a\)/);
  });
});

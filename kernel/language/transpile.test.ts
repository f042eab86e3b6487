import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toCodePoints, toUnits } from "../protocol/code-points.ts";
import { prepareCell, skipsCheck } from "./cell-source.ts";
import { declaredNames } from "./checker.ts";
import { isComplete } from "./completeness.ts";
import { emit } from "./emit.ts";
import { transpileCell } from "./transpile.ts";
import { ts } from "./typescript.ts";

/** The code without the lines that every script has. */
function code(source: string): string {
  return transpileCell(source, "cell-1.ts")
    .code.replace(/^"use strict";\n/, "")
    .replace(/\n\/\/# sourceURL=cell-1\.ts$/, "")
    .trim();
}

describe("a cell's script", () => {
  it("hands over the value of a last expression, and of nothing else", () => {
    assert.equal(code("1 + 1"), "__prunelab.result(1 + 1);");
    assert.equal(code("1;\n;"), "__prunelab.result(1);\n;");
    assert.equal(code("const a = 1"), "let a = 1;");
    assert.equal(code("for (;;) 1"), "for (;;)\n    1;");
  });

  it("turns imports into awaited calls, and drops those of types", () => {
    assert.equal(
      code('import a, { b as c, type D } from "m"'),
      'let { default: a, b: c } = await __prunelab.import("m");',
    );
    assert.equal(code('import a, * as n from "m"'), 'let n = await __prunelab.import("m");\nlet { default: a } = n;');
    assert.equal(code('import "m"'), 'await __prunelab.import("m");');
    assert.equal(code('import type { A } from "m"'), "");
    assert.equal(code('const f = () => import("m")'), 'let f = () => __prunelab.import("m");');
    assert.equal(code("export default import.meta.url"), "__prunelab.result(__prunelab.meta.url);");
  });

  it("stands around top-level awaits, not around those in functions", () => {
    assert.equal(code("const x = await f(await g)"), "let x = await __prunelab.hold(f(await __prunelab.hold(g)));");
    assert.equal(code("const f = async () => await g"), "let f = async () => await g;");
    assert.equal(code("for await (const x of y) z"), "for await (const x of __prunelab.holdEach(y))\n    z;");
    assert.equal(code("class A { static { async () => { await 1 } } }").includes("hold"), false);
  });

  it("makes functions, var and enums into let, so that they can be declared again", () => {
    assert.equal(code("f();\nfunction f(): void {}"), "let f = function () { };\nf();");
    assert.equal(code("async function* g<T>(x: T) { yield x }"), "let g = async function* (x) { yield x; };");
    assert.match(code("enum E { A }"), /^let E;\n/);
    assert.equal(code("var a = 1; var a = 2"), "var a = 1;\nvar a = 2;");
  });

  it("keeps every position when it blanks exports and import attributes", () => {
    const cell =
      'export const a = 1;\nexport { a };\nimport x from "./x.json" with { type: "json" };\nexport default a';
    const prepared = prepareCell(cell);
    assert.equal(prepared.length, cell.length);
    assert.equal(prepared.indexOf("const a"), cell.indexOf("const a"));
    assert.doesNotMatch(prepared, /export|with/);
  });

  it("is skipped by the checker only where a leading comment says so", () => {
    assert.equal(skipsCheck("// @ts-nocheck\n1"), true);
    assert.equal(skipsCheck("/* a */ // @ts-nocheck\n1"), true);
    assert.equal(skipsCheck("1 // @ts-nocheck"), false);
  });

  it("names what it declares", () => {
    const cell =
      'import a, { b as c } from "m"; import * as d from "n"; let { e, f: [g] } = h; function i() {} class j {} enum k {}';
    assert.deepEqual(declaredNames(cell), ["a", "c", "d", "e", "g", "i", "j", "k"]);
  });

  it("comes of any text, without an error", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        transpileCell(text, "cell-1.ts");
        declaredNames(text);
        skipsCheck(text);
        assert.match(isComplete(text).status, /^(complete|incomplete|invalid)$/);
      }),
      { numRuns: 300 },
    );
  });
});

describe("emit", () => {
  const options = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    experimentalDecorators: true,
    sourceMap: true,
    newLine: ts.NewLineKind.LineFeed,
  };
  const samples = [
    "let x: number = 1 as number; x!; x satisfies number;",
    "interface A {}\ntype B = A;\ndeclare const c: A;\nabstract class D<T> implements A { abstract e(): void; f?: T; private g = 1; constructor(readonly h: T) {} }",
    "enum E { A, B = 'x', C = A + 1 }\nconst enum F { G = 1 }\nF.G;\nnamespace N { export const a = 1; export function b() { return a } }\nnamespace N.M { export let c = 2 }",
    "@decorate class K { static s = 1; @decorate() m(@decorate p: string) {} accessor a = 1; static { K.s } #p = 1; get q() { return this.#p } }",
    "function f(this: Window, a?: number, ...rest: string[]): asserts a is number {}\nfunction g(a: 1): 1; function g(a: unknown) { return a }",
    "async function* h() { for await (const x of y) yield* x; await using; }\nlabel: for (const [a, { b = 1 }] of c) continue label;",
    "import fs = require('fs');\nimport type { T } from 't';\nimport { type U, v } from 'v';\nexport { v as default };\nexport * as w from 'w';",
    "const a = <T,>(x: T) => x; const b = <number>c; a<string>; `t`; /re/g; 1n ** 2n; a?.b?.[c] ?? d; a ||= b;",
    "const broken = ; function {",
    "// only a comment",
    "",
  ];
  for (const sample of samples) {
    it(`writes what transpileModule writes: ${sample.slice(0, 40)}`, () => {
      const expected = ts.transpileModule(sample, { fileName: "cell.ts", compilerOptions: options });
      const { code, map } = emit("cell.ts", sample, { ...options, isolatedModules: true }, {});
      assert.equal(code.trimEnd(), expected.outputText.replace(/\/\/# sourceMappingURL=.*\s*$/, "").trimEnd());
      assert.equal(JSON.parse(map).mappings, JSON.parse(expected.sourceMapText ?? "{}").mappings);
    });
  }
});

describe("positions", () => {
  it("count code points on one side and units on the other", () => {
    assert.equal(toUnits("😀a", 1), 2);
    assert.equal(toCodePoints("😀a", 2), 1);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(), (text, position) => {
        const points = Math.min(position, [...text].length);
        assert.equal(toCodePoints(text, toUnits(text, points)), points);
      }),
    );
  });
});

describe("is_complete", () => {
  it("tells complete, incomplete with its indent, and invalid", () => {
    for (const text of ["1", "", "let x = 3;", "function f() { return 1 }", "?Math.abs", "`a`", "// note"]) {
      assert.equal(isComplete(text).status, "complete", text);
    }
    for (const text of [
      "function f() {",
      "const a = {",
      "`abc",
      "if (true) {",
      "f(1,",
      "/* open",
      "const x =",
      "a +",
    ]) {
      assert.equal(isComplete(text).status, "incomplete", text);
    }
    for (const text of ["const a b c;", ") + 1", "let 1x = 3", "} else {"])
      assert.equal(isComplete(text).status, "invalid", text);
    assert.equal(isComplete("  if (x) {").indent, "    ");
    assert.equal(isComplete("  f(1,").indent, "  ");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toCodePoints, toUnits } from "../protocol/code-points.ts";
import { parseCell, prepareCell, skipsCheck } from "./cell-source.ts";
import { isComplete } from "./completeness.ts";
import { declaredIn } from "./declarations.ts";
import { transpileCell } from "./transpile.ts";

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
    assert.match(code("1;\n;"), /^__prunelab\.result\(1\);\s*;+$/);
    assert.equal(code("const a = 1"), "let a = 1;");
    assert.equal(code("for (;;) 1"), "for (;;)\n    1;");
  });

  it("turns imports into awaited calls, and drops those of types", () => {
    assert.equal(
      code('import a, { b as c, type D } from "m"'),
      'let { default: a, b: c } = await __prunelab.imports("m", ["default", "b"]);',
    );
    assert.equal(
      code('import a, * as n from "m"'),
      'let n = await __prunelab.import("m");\nlet { default: a } = await __prunelab.imports("m", ["default"]);',
    );
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
    assert.equal(code("var a = 1; var a = 2"), "let a;\na = 1;\na = 2;");
    assert.equal(code("for (var i = 0; ; ) { var j }"), "let i, j;\nfor (i = 0;;) {\n    ;\n}");
    assert.equal(code("for (var [k, { l = 1 }] of m) k"), "let k, l;\nfor ([k, { l = 1 }] of m)\n    k;");
    assert.equal(
      code("try { var { o, ...p } = q } finally {}"),
      "let o, p;\ntry {\n    ({ o, ...p } = q);\n}\nfinally { }",
    );
  });

  it("keeps every position when it blanks exports", () => {
    const cell =
      'export const a = 1;\nexport { a };\nimport x from "./x.json" with { type: "json" };\nexport default a';
    const prepared = prepareCell(cell);
    assert.equal(prepared.length, cell.length);
    assert.equal(prepared.indexOf("const a"), cell.indexOf("const a"));
    assert.doesNotMatch(prepared, /export [c{]/);
    assert.equal(prepareCell('export { a } from "m"'), 'import { a } from "m"');
  });

  it("is skipped by the checker only where a leading comment says so", () => {
    assert.equal(skipsCheck("// @ts-nocheck\n1"), true);
    assert.equal(skipsCheck("/* a */ // @ts-nocheck\n1"), true);
    assert.equal(skipsCheck("1 // @ts-nocheck"), false);
  });

  it("names what it declares", () => {
    const cell =
      'import a, { b as c } from "m"; import * as d from "n"; let { e, f: [g] } = h; function i() {} class j {} enum k {}';
    assert.deepEqual([...declaredIn(parseCell(cell).file).keys()], ["a", "c", "d", "e", "g", "i", "j", "k"]);
  });

  it("comes of any text, without an error", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        transpileCell(text, "cell-1.ts");
        declaredIn(parseCell(text).file);
        skipsCheck(text);
        assert.match(isComplete(text).status, /^(complete|incomplete|invalid)$/);
      }),
      { numRuns: 300 },
    );
  });
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

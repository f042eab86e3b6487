import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import vm from "node:vm";
import fc from "fast-check";
import { chains } from "./cell-chains.ts";
import { cellNames } from "./cell-names.ts";
import { isCode, type Notebook } from "./notebook.ts";
import { neededCells, planResume } from "./resume.ts";
import { notebookOf } from "./testing.test-helper.ts";

/** The cells that are run again for the last one. */
function needed(...cells: string[]): number[] {
  return [...neededCells(cells.map(cellNames), cells.length - 1)].sort();
}

/** As a run leaves it, up to that many passed cells. */
function ran(notebook: Notebook, passed: number): Notebook {
  const copy = structuredClone(notebook);
  for (const [i, [cell, { chain }]] of [...chains(copy)].entries()) {
    cell.metadata.prunelab = { status: i < passed ? "passed" : "failed", chain };
    cell.outputs = [{ output_type: "stream", name: "stdout", text: `saved ${i}` }];
  }
  return copy;
}

function origins(notebook: Notebook, previous: Notebook): string {
  const plan = planResume(previous, chains(notebook));
  return notebook.cells
    .filter(isCode)
    .map((cell) => plan.get(cell) ?? "skipped")
    .join(" ");
}

describe("what a cell needs of earlier ones", () => {
  it("is what declares its names, and what that needs", () => {
    assert.deepEqual(needed("const a = [1]", "const b = [2]", "const c = b", "c"), [1, 2]);
    assert.deepEqual(needed('import { x } from "y"', "x()", "x()"), [0]);
    assert.deepEqual(needed("let limit = 5", "console.log(limit)", "limit"), [0]);
    assert.deepEqual(needed("type T = { a: 1 }", "const t: T = { a: 1 }", "let u: T"), [0]);
    assert.deepEqual(needed("const a = [1]", "const a = [2]; a.length", "3"), []);
    assert.deepEqual(needed("const b = [1]", "const { a = b } = {} as { a?: number[] }", "a"), [0, 1]);
    assert.deepEqual(needed("const b = [1]", "const { a = b } = {} as { a?: number[] }", "b"), [0, 1]);
  });

  it("is also what may have changed a value, by whatever name", () => {
    assert.deepEqual(needed("const a = [1]", "a.push(2)", "a"), [0, 1]);
    assert.deepEqual(needed("const a = [1]", "const b = a", "b.push(2)", "a"), [0, 1, 2]);
    assert.deepEqual(needed("const a = [1]", "function f() { a.push(2) }", "f()", "a"), [0, 1, 2]);
    assert.deepEqual(needed("let n = 1", "n++", "n"), [0, 1]);
    assert.deepEqual(needed("let n = 1", "[n] = [2]", "for (n of [3]);", "n"), [0, 1, 2]);
    assert.deepEqual(needed("globalThis.a = 1", "process.env.X = '1'", 'import "reflect"', "1"), [0, 1, 2]);
    assert.deepEqual(needed("process.chdir('/')", "process.resourceUsage().maxRSS", "process", "1"), [0, 2]);
    assert.deepEqual(needed("for (var i = 0; i < 3; i++);", "i"), [0]);
  });

  it("never leaves out a cell that the later ones would have noticed", () => {
    const name = fc.constantFrom("a", "b", "c", "k");
    const statement = fc.oneof(
      fc.tuple(name, fc.nat(9)).map(([n, v]) => `var ${n} = [${v}];`),
      fc.tuple(name, fc.nat(9)).map(([n, v]) => `var ${n} = ${v};`),
      fc.tuple(name, name).map(([n, m]) => `var ${n} = ${m};`),
      fc.tuple(name, name).map(([n, m]) => `${n} = [${m}];`),
      fc.tuple(name, fc.nat(9)).map(([n, v]) => `if (Array.isArray(${n})) ${n}.push(${v});`),
      name.map((n) => `if (typeof ${n} === "number") ${n}++;`),
      fc.tuple(name, name).map(([n, m]) => `var f = function () { if (Array.isArray(${n})) ${n}.push(${m}); };`),
      fc.constant("f();"),
      name.map((n) => `show(${n});`),
    );
    const cell = fc.array(statement, { minLength: 1, maxLength: 3 }).map((lines) => lines.join(" "));
    const prelude = "var a = [0], b = [1], c = [2]; var k = 3; var f = function () {};";
    const run = (cells: readonly string[], isRun: (i: number) => boolean) => {
      const context = vm.createContext({ show: inspect });
      return cells.map((text, i) => (isRun(i) ? String(vm.runInContext(text, context)) : undefined));
    };
    let reused = 0;
    fc.assert(
      fc.property(fc.array(cell, { minLength: 2, maxLength: 7 }), fc.nat(), (bodies, at) => {
        const cells = [prelude, ...bodies];
        const first = 1 + (at % (cells.length - 1));
        const again = neededCells(cells.map(cellNames), first);
        again.add(0);
        const whole = run(cells, () => true);
        const part = run(cells, (i) => i >= first || again.has(i));
        for (const [i, output] of part.entries())
          if (output !== undefined) assert.equal(output, whole[i], cells.join("\n"));
        reused += part.filter((output) => output === undefined).length;
      }),
      { numRuns: 300 },
    );
    assert.ok(reused > 0, "something is reused at all");
  });
});

describe("a plan to resume", () => {
  const notebook = () => notebookOf("const a = [1]", "'alone'", "# text", "a", "skip-execution|0", "a.length", "'end'");

  it("runs from the first cell that failed, reuses what nothing needs, and keeps its outputs", () => {
    const mine = notebook();
    assert.equal(origins(mine, ran(notebook(), 3)), "rerun reused rerun skipped run run");
    assert.equal(mine.cells.filter(isCode)[1]?.outputs[0]?.text, "saved 1");
    assert.equal(origins(notebook(), ran(notebook(), 9)), "reused reused reused skipped reused reused");
    assert.equal(origins(notebook(), ran(notebook(), 0)), "run run run skipped run run");
    assert.equal(origins(notebook(), notebook()), "run run run skipped run run");
  });

  it("runs from the first cell that changed, came, or went", () => {
    const previous = ran(notebook(), 9);
    const changed = notebook();
    (changed.cells[3] as { source: string }).source = "a[0]";
    assert.equal(origins(changed, previous), "rerun reused run skipped run run");
    const shorter = notebook();
    shorter.cells.splice(1, 1);
    assert.equal(origins(shorter, previous), "rerun run skipped run run");
    assert.equal(
      origins(notebookOf("0", ...notebook().cells.map(({ source }) => source)), previous).includes("re"),
      false,
    );
    const text = notebook();
    (text.cells[2] as { source: string }).source = "# another text";
    assert.equal(origins(text, previous), "reused reused reused skipped reused reused");
  });
});

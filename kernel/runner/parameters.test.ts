import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext, test } from "node:test";
import vm from "node:vm";
import fc from "fast-check";
import { injectParameters, parameterNames } from "./inject-parameters.ts";
import type { Notebook } from "./notebook.ts";
import { mergeParameters, parseAssignment, readParameters, removeInjected, toTypeScript } from "./parameters.ts";
import { notebookOf, temporaryFolder, writeNotebookFile } from "./testing.test-helper.ts";
import { withLanguage } from "./with-language.ts";

test("every value that YAML or JSON can say is the same as TypeScript", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.double(),
    fc.constantFrom(Number.NaN, -0, Number.NEGATIVE_INFINITY, 12n),
    fc.dictionary(fc.oneof(fc.string(), fc.constant("__proto__")), fc.jsonValue()).map((entries) => ({ ...entries })),
  );
  fc.assert(
    fc.property(value, (given) => {
      const again: unknown = vm.runInThisContext(`(${toTypeScript(given)})`);
      assert.deepEqual(again, given);
    }),
  );
  for (const strange of [undefined, new Date(), new Map(), () => {}, Symbol("x")]) {
    assert.throws(() => toTypeScript(strange), /value is not a text/);
  }
});

test("an assignment is split at its first =, and means text if nothing else", () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      const { name, candidates } = parseAssignment(`limit_$1=${value}`);
      assert.equal(name, "limit_$1");
      assert.equal(candidates.at(-1), value);
    }),
  );
  assert.deepEqual(parseAssignment("a=[1, 2]").candidates, [[1, 2], "[1, 2]"]);
  assert.deepEqual(parseAssignment("a=-Infinity").candidates, [Number.NEGATIVE_INFINITY, "-Infinity"]);
  for (const text of ["", "a", "=1", "1a=2", "a b=2", "a.b=1"]) {
    assert.throws(() => parseAssignment(text), { message: /^invalid -p; name=value: /, exitCode: 2 }, text);
  }
});

test("a YAML file gives values, and its mistakes are told in one sentence", (t) => {
  const folder = temporaryFolder(t);
  const read = (text: string) => readParameters(writeNotebookFile(folder, "p.yaml", text));
  const found = read(
    "limit: 20\nmodel: google/gemma-3-270m\ntasks: [a, b]\nsparsity: .5\nnothing: null\ndeep: {a: {b: true}}\n",
  );
  assert.deepEqual(
    found.map(({ name, candidates }) => [name, candidates[0]]),
    [
      ["limit", 20],
      ["model", "google/gemma-3-270m"],
      ["tasks", ["a", "b"]],
      ["sparsity", 0.5],
      ["nothing", null],
      ["deep", { a: { b: true } }],
    ],
  );
  assert.deepEqual(read("# nothing yet\n"), []);
  for (const [text, expected] of [
    ["a: [1", /^--parameters is not YAML: .*: .*p\.yaml$/],
    ["a: 1\na: 2", /^--parameters is not YAML: Map keys must be unique/],
    ["- 1", /^--parameters needs a mapping of names to values: /],
    ["a: !!binary aGk=", /parameter a$|mapping|YAML/],
    ["a: &x [1]\nb: [*x, *x, *y]", /YAML/],
  ] as const) {
    assert.throws(() => read(text), { name: "KernelError", message: expected, exitCode: 2 }, text);
  }
  assert.throws(
    () => readParameters(join(folder, "absent.yaml")),
    /^KernelError: cannot read --parameters: .*absent\.yaml/,
  );
  assert.deepEqual(
    mergeParameters([...read("a: 1\nb: 1"), parseAssignment("a=2")]).map(({ name, candidates }) => [
      name,
      candidates[0],
    ]),
    [
      ["a", 2],
      ["b", 1],
    ],
  );
});

describe("injecting parameters", () => {
  const cell = `parameters|let model = "google/gemma"; // which
const sparsity = 0.5, tasks = ["a"];
let limit: number | null = null;
const kind: "x" | "y" = "x";
function helper() {}`;

  async function inject(t: TestContext, notebook: Notebook, ...assignments: string[]): Promise<string> {
    const parameters = assignments.map(parseAssignment);
    await withLanguage(temporaryFolder(t), (language) => injectParameters(language, notebook, parameters, "x.ipynb"));
    return notebook.cells.find(({ metadata }) => String(metadata.tags) === "injected-parameters")?.source ?? "";
  }

  it("takes what the types take, and puts it behind the defaults, in place of an earlier one", async (t) => {
    const notebook = notebookOf("# title", "interface Own { a: number }", cell, "model");
    assert.deepEqual(parameterNames(notebook), ["model", "sparsity", "tasks", "limit", "kind"]);
    const source = await inject(t, notebook, "sparsity=0.25", "model=7", "limit=20", "tasks=[]", "kind=y");
    assert.equal(
      source,
      '// Parameters\nconst sparsity = 0.25;\nlet model = "7";\nlet limit: number | null = 20;\nconst tasks: string[] = [];\nconst kind: "x" | "y" = "y";',
    );
    assert.equal(notebook.cells.length, 5);
    assert.equal(notebook.cells[3]?.source, source);
    assert.equal(await inject(t, notebook, "limit=null"), "// Parameters\nlet limit: number | null = null;");
    assert.equal(notebook.cells.length, 5);
    assert.deepEqual([removeInjected(notebook), removeInjected(notebook)], [true, false]);
    assert.equal(notebook.cells.length, 4);
  });

  it("makes bigints and dates of texts where the types want them", async (t) => {
    const notebook = notebookOf(
      'parameters|let big = 1n, date = new Date(0), both: Date | string = "", ids: bigint[] = [], when: Date | null = null',
    );
    const given = ["big=9007199254740993", "date=2026-12-01", "both=2026-12-01", "when=2026-12-01T10:00:00Z"];
    assert.equal(
      await inject(t, notebook, ...given),
      '// Parameters\nlet big: bigint = 9007199254740993n;\nlet date: Date = new Date("2026-12-01T00:00:00.000Z");\nlet both: Date | string = "2026-12-01";\nlet when: Date | null = new Date("2026-12-01T10:00:00.000Z");',
    );
    assert.match(await inject(t, notebook, "big=-5n"), /let big: bigint = -5n;/);
    for (const wrong of ["date=2026-13-01", "date=soon", "big=1.5", "when=1"]) {
      await assert.rejects(inject(t, notebook, wrong), /wrong type for parameter/, wrong);
    }
  });

  it("refuses a value of a wrong type, naming the types", async (t) => {
    const knows =
      'x\\.ipynb knows model \\(string\\), sparsity \\(number\\), tasks \\(string\\[\\]\\), limit \\(number \\| null\\), kind \\("x" \\| "y"\\)$';
    for (const [assignment, expected] of [
      [
        "sparsity=half",
        `^wrong type for parameter sparsity: "half": Type 'string' is not assignable to type 'number'; ${knows}`,
      ],
      ["sparsity=null", "^wrong type for parameter sparsity: null"],
      ["tasks=5", `^wrong type for parameter tasks: 5: Type 'number'`],
      ["tasks=[5]", "^wrong type for parameter tasks: \\[5\\]"],
      ["kind=z", '^wrong type for parameter kind: "z"'],
    ] as const) {
      const notebook = notebookOf(cell);
      await assert.rejects(inject(t, notebook, assignment), { message: new RegExp(expected), exitCode: 2 }, assignment);
      assert.equal(notebook.cells.length, 1);
    }
    await assert.rejects(
      inject(t, notebookOf("parameters|let a: number = 'x'"), "a=1"),
      /the cell tagged parameters has an error/,
    );
  });
});

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { isCode, readNotebook } from "./notebook.ts";
import { notebookOf, temporaryFolder, writeNotebookFile } from "./testing.test-helper.ts";
import { formatNotebook, openNotebookFile } from "./write-notebook.ts";

test("what is not a notebook for this kernel is refused in one sentence", (t) => {
  const folder = temporaryFolder(t);
  const good = notebookOf("1");
  const cases: [string, unknown, RegExp][] = [
    ["not JSON", "{", /^notebook is not JSON: .*bad\.ipynb: /],
    ["not UTF-8", '"\xff"', /^notebook is not JSON: /],
    ["a list", [], /^not a notebook; needs a JSON object: /],
    ["nbformat 3", { nbformat: 3, worksheets: [] }, /^unsupported nbformat; needs 4: .*: 3; /],
    ["no nbformat", { cells: [] }, /^unsupported nbformat; needs 4: .*: none; /],
    ["cells of another kind", { ...good, cells: {} }, /^not a notebook; needs a list of cells: /],
    ["no cells", { ...good, cells: [] }, /^notebook has no cells: /],
    ["no code", notebookOf("# title"), /^notebook has no code cells: /],
    [
      "python",
      { ...good, metadata: { kernelspec: { name: "python3", language: "python" } } },
      /^notebook is for another kernel: .*: python3, python; prunelab runs TypeScript/,
    ],
    ["an unknown kernel", { ...good, metadata: { kernelspec: { name: "mine" } } }, /for another kernel: .*: mine;/],
    ["another language", { ...good, metadata: { language_info: { name: "julia" } } }, /for another kernel: .*: julia;/],
    ["a number as source", { ...good, cells: [{ cell_type: "code", source: 4 }] }, /invalid source.*: cell 1 of 1$/],
    ["no source", { ...good, cells: [{ cell_type: "markdown" }] }, /invalid source/],
    ["an unknown kind of cell", { ...good, cells: [{ cell_type: "heading", source: "" }] }, /unknown cell_type/],
    [
      "outputs of another kind",
      { ...good, cells: [{ cell_type: "code", source: "", outputs: [1] }] },
      /invalid output/,
    ],
    ["metadata of another kind", { ...good, cells: [{ cell_type: "code", source: "", metadata: 1 }] }, /not an object/],
  ];
  for (const [name, content, expected] of cases) {
    const path = join(folder, "bad.ipynb");
    const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : JSON.stringify(content);
    writeFileSync(path, bytes);
    assert.throws(() => readNotebook(path), { name: "KernelError", message: expected, exitCode: 3 }, name);
    assert.deepEqual(readFileSync(path), Buffer.from(bytes), name);
  }
  assert.throws(() => readNotebook(folder), /notebook is a folder: .*; name the notebooks in it/);
  assert.throws(() => readNotebook(join(folder, "absent.ipynb")), /^KernelError: no such notebook: /);
});

test("a notebook that does not say what it is for, and one made for another TypeScript kernel, are ours", (t) => {
  const folder = temporaryFolder(t);
  for (const metadata of [{}, { kernelspec: { name: "tslab", language: "typescript" } }]) {
    readNotebook(writeNotebookFile(folder, "x.ipynb", { ...notebookOf("1"), metadata }));
  }
});

test("what is read and written again is the same, byte for byte, in Jupyter's own format", (t) => {
  const folder = temporaryFolder(t);
  const line = fc.string({ unit: fc.constantFrom("a", "é", "\u2028", "\n", "\r", '"', " ") });
  const output = fc.oneof(
    fc.record({ output_type: fc.constant("stream"), name: fc.constant("stdout"), text: line }),
    fc.record({
      output_type: fc.constant("display_data"),
      data: fc.record({ "text/plain": line, "application/json": fc.constant({ b: [1, "x\ny"], a: null }) }),
      metadata: fc.constant({}),
    }),
  );
  fc.assert(
    fc.property(line, fc.array(output), (source, outputs) => {
      const notebook = notebookOf("0", "# title");
      const [cell] = notebook.cells.filter(isCode);
      Object.assign(cell as object, { source, outputs });
      const text = formatNotebook(notebook);
      const again = readNotebook(writeNotebookFile(folder, "x.ipynb", text));
      assert.equal(again.cells[0]?.source, source);
      assert.deepEqual((again.cells[0] as unknown as { outputs: unknown }).outputs, structuredClone(outputs));
      assert.equal(formatNotebook(again), text);
    }),
  );
  const text = formatNotebook(readNotebook(writeNotebookFile(folder, "y.ipynb", notebookOf("a\nb"))));
  assert.match(text, /^\{\n "cells": \[\n {2}\{\n {3}"cell_type": "code",/);
  assert.match(text, /"source": \[\n {4}"a\\n",\n {4}"b"\n {3}\]/);
  assert.match(text, /"id": "[0-9a-f]{8}"/);
  assert.ok(text.endsWith("}\n"));
});

test("a file is replaced whole: mode and links stay, nothing else is left", (t) => {
  const folder = temporaryFolder(t);
  const path = writeNotebookFile(folder, "x.ipynb", notebookOf("1"));
  chmodSync(path, 0o640);
  const link = join(folder, "link.ipynb");
  symlinkSync(path, link);
  openNotebookFile(link).write(notebookOf("2"));
  assert.equal(readNotebook(path).cells[0]?.source, "2");
  assert.equal(statSync(path).mode & 0o777, 0o640);
  assert.deepEqual(readdirSync(folder).sort(), ["link.ipynb", "x.ipynb"]);
});

test("where nothing can be written, that is told before anything runs", (t) => {
  const folder = temporaryFolder(t);
  const path = writeNotebookFile(folder, "x.ipynb", notebookOf("1"));
  const before = readFileSync(path, "utf8");
  chmodSync(path, 0o444);
  assert.throws(() => openNotebookFile(path), {
    message: /^cannot write .*x\.ipynb: the file is read-only$/,
    exitCode: 7,
  });
  assert.equal(readFileSync(path, "utf8"), before);
  assert.throws(() => openNotebookFile(join(path, "y.ipynb")), /cannot write .*: a (part of the path is a )?file/);
  mkdirSync(join(folder, "z.ipynb"));
  assert.throws(() => openNotebookFile(join(folder, "z.ipynb")), /a folder of that name is in the way/);
  // Root may write everywhere, but not there.
  const locked = process.platform === "linux" ? "/proc/self" : join(folder, "locked");
  if (process.platform !== "linux") mkdirSync(locked, { mode: 0o500 });
  assert.throws(() => openNotebookFile(join(locked, "x.ipynb")), /^KernelError: cannot write /);
});

test("what someone else saved meanwhile is not overwritten", (t) => {
  const folder = temporaryFolder(t);
  const path = writeNotebookFile(folder, "x.ipynb", notebookOf("1"));
  const file = openNotebookFile(path);
  file.write(notebookOf("2"));
  writeFileSync(path, "edited");
  file.write(notebookOf("3"));
  file.write(notebookOf("4"));
  assert.equal(readFileSync(path, "utf8"), "edited");
  assert.equal(readNotebook(join(folder, "x.run.ipynb")).cells[0]?.source, "4");
});

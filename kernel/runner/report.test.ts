import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import fc from "fast-check";
import { toHtml } from "./html-report.ts";
import type { CodeCell, Output } from "./notebook.ts";
import { type ReportedNotebook, toAnnotations, toJson, toJunit } from "./report.ts";
import type { CellResult } from "./run-notebook.ts";
import { codeCell, notebookOf } from "./testing.test-helper.ts";

interface Element {
  textContent: string;
  getAttribute(name: string): string | null;
  querySelector(selector: string): Element | null;
  querySelectorAll(selector: string): Element[];
}
/** The little of the DOM that is used here, as in plot-thread.ts. */
interface Jsdom {
  JSDOM: new (
    html: string,
  ) => { window: { DOMParser: new () => { parseFromString(text: string, type: string): Element } } };
}
const { JSDOM } = createRequire(import.meta.url)("jsdom") as Jsdom;
const { window } = new JSDOM("");
const parse = (text: string, type: "text/xml" | "text/html") => {
  const document = new window.DOMParser().parseFromString(text, type);
  assert.equal(document.querySelector("parsererror")?.textContent, undefined);
  return document;
};

function result(part: Partial<CellResult> & Pick<CellResult, "status">, source = "1"): CellResult {
  return { cell: codeCell(source), number: 1, origin: "run", ...part };
}

function reported(...cells: CellResult[]): ReportedNotebook {
  const started = "2026-11-24T12:00:00.000Z";
  return { name: "a & b.ipynb", result: { path: "/x", started, durationMs: 1500, cells, failure: "failed" } };
}

const failed = result({
  status: "failed",
  durationMs: 1234,
  error: { name: "Error", value: 'a "quote" <tag>\u001b[31m', traceback: ["Error: line 1,", "100 % \u0000\ud800 ]]>"] },
});

test("JUnit's XML has one test a cell, told apart, and is well-formed whatever the cells print", () => {
  const lost = result({ status: "lost", error: { name: "DeadKernel", value: "gone", traceback: [] } });
  const reused = result({ status: "passed", origin: "reused", started: "then" });
  const all = [result({ status: "passed", peakMemoryBytes: 5 }), failed, lost, result({ status: "not run" }), reused];
  const xml = toJunit([reported(...all), { name: "b.ipynb", problem: "no kernel" }]);
  const document = parse(xml, "text/xml");
  const suite = document.querySelector("testsuite");
  assert.deepEqual(
    ["name", "tests", "failures", "errors", "skipped", "time"].map((name) => suite?.getAttribute(name)),
    ["a & b.ipynb", "5", "1", "1", "2", "1.500"],
  );
  assert.equal(document.querySelector("failure")?.getAttribute("message"), 'Error: a "quote" <tag>');
  assert.equal(document.querySelector("failure")?.textContent, "Error: line 1,\n100 % \ufffd\ufffd ]]>");
  assert.equal(document.querySelectorAll("skipped")[1]?.getAttribute("message"), "reused, as it ran at then");
  assert.equal(document.querySelectorAll("testsuite")[1]?.querySelector("error")?.getAttribute("message"), "no kernel");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string(), (printed, source) => {
      const cell: CodeCell = {
        ...codeCell(source),
        outputs: [{ output_type: "stream", name: "stdout", text: `<${printed}` }],
      };
      parse(toJunit([reported({ ...failed, cell })]), "text/xml");
    }),
  );
});

test("JSON tells every cell's end, time and memory", () => {
  const { notebooks } = JSON.parse(toJson([reported(failed), { name: "b", problem: "bad" }, { name: "c" }]));
  assert.equal(notebooks[0].status, "failed");
  assert.deepEqual([notebooks[0].cells[0].status, notebooks[0].cells[0].durationMs], ["failed", 1234]);
  assert.deepEqual(notebooks.slice(1), [
    { notebook: "b", status: "not run", problem: "bad" },
    { notebook: "c", status: "not run" },
  ]);
});

test("annotations are one line each, with what GitHub needs escaped", () => {
  assert.deepEqual(
    toAnnotations([reported(result({ status: "passed" }), failed), { name: "b,c", problem: "bad: x" }]),
    [
      "::error file=a & b.ipynb,title=cell 1::Error: line 1,%0A100 %25 \u0000\ud800 ]]>",
      "::error file=b%2Cc,title=notebook::bad: x",
    ],
  );
});

test("the page shows outputs, escapes text, and runs no script", () => {
  const outputs: Output[] = [
    { output_type: "stream", name: "stdout", text: "<script>alert(1)</script>\u001b[31mred" },
    { output_type: "display_data", data: { "image/svg+xml": "<svg onload='x()'/>", "text/plain": '"' }, metadata: {} },
    { output_type: "display_data", data: { "image/png": 'AAAA" onerror="x' }, metadata: {} },
    { output_type: "execute_result", data: { "text/html": "</div><!-- left open", "text/plain": "x" }, metadata: {} },
    { output_type: "display_data", data: { "application/x-own": 1 }, metadata: {} },
    { output_type: "error", ename: "E", evalue: "v", traceback: ["E: v <b>"] },
  ];
  const notebook = notebookOf("# Title <i>\ntext & more", "const s = '</pre><b>'", "'last'");
  const cells = notebook.cells.slice(1) as CodeCell[];
  Object.assign(cells[0] as CodeCell, { outputs });
  const shown = { ...reported(...cells.map((cell) => result({ cell, status: "failed" }))), notebook };
  const page = toHtml([shown]);
  const document = parse(page, "text/html");
  const text = (selector: string) => [...document.querySelectorAll(selector)].map((element) => element.textContent);
  assert.equal(document.querySelectorAll("script, b b, pre b, i, [onload], [onerror]").length, 0);
  assert.deepEqual(text(".text h2"), ["Title <i>"]);
  assert.deepEqual(text(".cell > pre"), ["const s = '</pre><b>'", "'last'"]);
  assert.equal(text(".output pre")[0], "<script>alert(1)</script>red");
  assert.equal(document.querySelectorAll(".cell").length, 2);
  const images = [...document.querySelectorAll("img")].map((image) => image.getAttribute("src"));
  assert.deepEqual(images, [
    `data:image/svg+xml;base64,${Buffer.from("<svg onload='x()'/>").toString("base64")}`,
    "data:image/png;base64,AAAAonerror=x",
  ]);
  assert.match(page, /<template shadowrootmode="open">.*<!-- left open--><\/template><\/div><\/div>/);
  const policy = document.querySelector("meta[http-equiv]")?.getAttribute("content") ?? "";
  assert.match(policy, /default-src 'none'/);
});

test("the page renders Markdown, keeps no script of an output, and writes times as people do", () => {
  const table = "| a | b |\n| --- | ---: |\n| 1 | 2 |";
  const html = '<table><tr><td>7</table><script>x()</script><meta http-equiv="refresh" content="0"></template><b>after';
  const notebook = notebookOf(`## Part\n\n*few* \`code\`\n\n${table}\n\n<img src=x onerror=y>`, "1");
  const cell = notebook.cells[1] as CodeCell;
  cell.outputs = [
    { output_type: "display_data", data: { "text/markdown": table }, metadata: {} },
    { output_type: "display_data", data: { "text/html": html }, metadata: {} },
  ];
  const shown = { ...reported(result({ cell, status: "passed", durationMs: 200_000 })), notebook };
  const page = toHtml([shown]);
  const document = parse(page, "text/html");
  assert.equal(document.querySelectorAll(".text table td").length, 4);
  assert.equal(document.querySelector(".text h3")?.textContent, "Part");
  assert.equal(document.querySelectorAll("script, meta[http-equiv=refresh], [onerror]").length, 0);
  assert.match(page, /<td>7<\/td><\/tr><\/tbody><\/table><b>after<\/b><\/template>/);
  assert.match(document.querySelector("section > p")?.textContent ?? "", /failed, 2026-11-24 12:00 UTC, 1\.5 s/);
  assert.match(document.querySelector(".cell header")?.textContent ?? "", /3 min 20 s/);
});

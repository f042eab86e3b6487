/** Runs with their outputs as one HTML page that needs nothing else and runs no script. */
import { Marked } from "marked";
import { type DefaultTreeAdapterTypes, parseFragment, serialize } from "parse5";
import { duration } from "../../src/base/duration.ts";
import { escapeMarkup } from "../../src/base/escape-markup.ts";
import { type CodeCell, hasTag, isCode, isObject, type Json, type Notebook, type Output } from "./notebook.ts";
import { INJECTED_TAG } from "./parameters.ts";
import type { ReportedNotebook } from "./report.ts";
import type { CellResult } from "./run-notebook.ts";

export interface ShownNotebook extends ReportedNotebook {
  notebook: Notebook;
}

/** The best of these that an output has is shown. */
const IMAGE_TYPES = ["image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp"] as const;

/** No script, no address outside the page; what a cell displays is not trusted with more. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE = `
:root { color-scheme: light dark; --edge: #8884; --soft: #8882; --bad: #c62828; --good: #2e7d32; }
@media (prefers-color-scheme: dark) { :root { --bad: #ef9a9a; --good: #a5d6a7; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
pre { font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
.cell { border: 1px solid var(--edge); border-radius: 6px; margin: 1rem 0; overflow: hidden; }
.cell > header { padding: .3rem .8rem; font-size: 13px; background: var(--soft); }
.cell > pre, .output { padding: .6rem .8rem; }
.output { border-top: 1px solid var(--edge); }
.failed > header, .timeout > header, .lost > header, .stopped > header, .error { color: var(--bad); }
.passed > header b { color: var(--good); }
img { max-width: 100%; background: #fff; }
.html { overflow-x: auto; }
table { border-collapse: collapse; }
.text td, .text th { padding: .1rem .5rem; border: 1px solid var(--edge); }
.text pre { padding: .6rem .8rem; background: var(--soft); }
@media print { body { max-width: none; margin: 0; } .cell { overflow: visible; } .html { overflow: visible; } }
nav td { padding: 0 1rem 0 0; }`;

export function toHtml(shown: readonly ShownNotebook[]): string {
  const rows = shown.map((each, i) => {
    const link = `<a href="#notebook-${i + 1}">${escapeMarkup(each.name)}</a>`;
    return `<tr><td>${link}</td><td>${escapeMarkup(verdict(each))}</td></tr>`;
  });
  const sections = shown.map(
    (each, i) =>
      `<section id="notebook-${i + 1}"><h1>${escapeMarkup(each.name)}</h1><p>${escapeMarkup(verdict(each))}</p>${cells(each)}</section>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width"><title>${escapeMarkup(shown.map(({ name }) => name).join(", "))}</title>
<style>${STYLE}</style></head><body>
<nav><table>${rows.join("")}</table></nav>
${sections.join("\n")}
</body></html>
`;
}

function verdict({ result, problem }: ReportedNotebook): string {
  if (problem !== undefined) return problem;
  if (!result) return "not run";
  return `${result.failure ?? "passed"}, ${moment(result.started)}, ${duration(result.durationMs / 1000)}`;
}

function cells({ notebook, result }: ShownNotebook): string {
  const byCell = new Map(result?.cells.map((each) => [each.cell, each]));
  return notebook.cells
    .map((cell) => {
      if (!isCode(cell)) return `<div class="text">${cell.cell_type === "markdown" ? markdown(cell.source) : ""}</div>`;
      return codeCell(cell, byCell.get(cell));
    })
    .join("\n");
}

function codeCell(cell: CodeCell, result: CellResult | undefined): string {
  const status = result?.status ?? "not run";
  const words = [
    `cell ${result?.number ?? ""}`,
    result?.origin === "reused" ? `not run again; as it ran at ${moment(result.started)}` : undefined,
    result?.origin === "rerun" ? "run again for what it makes" : undefined,
    hasTag(cell, INJECTED_TAG) ? "parameters of this run" : undefined,
    result?.durationMs === undefined ? undefined : duration(result.durationMs / 1000),
    result?.peakMemoryBytes === undefined ? undefined : `${(result.peakMemoryBytes / 1e6).toFixed(0)} MB`,
  ].filter((word) => word !== undefined);
  const outputs = cell.outputs.map((output) => `<div class="output">${outputHtml(output)}</div>`).join("");
  const kind = status.replace(" ", "-");
  return `<div class="cell ${kind}"><header><b>${status}</b> · ${escapeMarkup(words.join(" · "))}</header><pre>${escapeMarkup(cell.source)}</pre>${outputs}</div>`;
}

function outputHtml(output: Output): string {
  if (output.output_type === "stream") {
    return `<pre${output.name === "stderr" ? ' class="error"' : ""}>${plain(output.text)}</pre>`;
  }
  if (output.output_type === "error") {
    const traceback = Array.isArray(output.traceback) ? output.traceback.join("\n") : "";
    return `<pre class="error">${plain(traceback || `${output.ename}: ${output.evalue}`)}</pre>`;
  }
  return dataHtml(isObject(output.data) ? output.data : {});
}

function dataHtml(data: Json): string {
  for (const type of IMAGE_TYPES) {
    const value = data[type];
    if (typeof value !== "string") continue;
    // As an image an SVG runs no script, and its ids meet no other's.
    const base64 =
      type === "image/svg+xml" ? Buffer.from(value).toString("base64") : value.replace(/[^A-Za-z0-9+/=]/g, "");
    return `<img alt="${escapeMarkup(data["text/plain"] ?? "output")}" src="data:${type};base64,${base64}">`;
  }
  if (typeof data["text/html"] === "string") return apart(data["text/html"]);
  if (typeof data["text/markdown"] === "string") return `<div class="text">${markdown(data["text/markdown"])}</div>`;
  if (typeof data["text/plain"] === "string") return `<pre>${plain(data["text/plain"])}</pre>`;
  return `<pre>(${escapeMarkup(Object.keys(data).join(", "))})</pre>`;
}

/** What a page would load or obey if it ran or named other pages; the policy forbids it too. */
const UNWANTED = new Set(["script", "meta", "base", "link", "iframe", "object", "embed", "form"]);

/**
 * In a shadow tree of its own: as high as it is, while its styles reach nothing else. Parsed and written again, so that markup that is left open
 * does not swallow the cells after it.
 */
function apart(html: string): string {
  const fragment = parseFragment(html);
  removeUnwanted(fragment);
  const style = "<style>table{border-collapse:collapse}td,th{padding:2px 8px}img{max-width:100%}</style>";
  return `<div class="html"><template shadowrootmode="open">${style}${serialize(fragment)}</template></div>`;
}

function removeUnwanted(parent: DefaultTreeAdapterTypes.ParentNode): void {
  parent.childNodes = parent.childNodes.filter(({ nodeName }) => !UNWANTED.has(nodeName));
  for (const node of parent.childNodes) {
    if ("attrs" in node) node.attrs = node.attrs.filter(({ name }) => !name.startsWith("on"));
    if ("content" in node) removeUnwanted(node.content);
    if ("childNodes" in node) removeUnwanted(node);
  }
}

/** GitHub's Markdown; HTML in it is shown as it is written. */
const marked = new Marked({ renderer: { html: ({ text }) => escapeMarkup(text) } });

function markdown(source: string): string {
  // One level down, below the notebook's name.
  const lower = (html: string) => html.replace(/(<\/?h)([1-5])\b/g, (_, tag, level) => `${tag}${Number(level) + 1}`);
  return lower(marked.parse(source, { async: false }));
}

/** Without the colours of terminals. */
function plain(text: unknown): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is removed
  return escapeMarkup(String(text).replace(/\u001b\[[0-9;]*[A-Za-z]/g, ""));
}

/** `2026-11-24 12:00 UTC` for an ISO time; anything else as it is. */
function moment(started: string | undefined): string {
  return (started ?? "").replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):[\d.]+Z$/, "$1 $2 UTC");
}

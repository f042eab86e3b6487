/** The outcome of headless runs, as JSON, as JUnit's XML and as GitHub's annotations. */
import { escapeMarkup } from "../../src/base/escape-markup.ts";
import type { CellResult, NotebookResult } from "./run-notebook.ts";

/** A run, or the sentence that says why there was none. */
export interface ReportedNotebook {
  /** As the user wrote it. */
  name: string;
  result?: NotebookResult | undefined;
  problem?: string | undefined;
}

/** A cell's first line that says something. */
export function titleOf({ cell }: Pick<CellResult, "cell">): string {
  const first = cell.source.split("\n").find((text) => text.trim() !== "") ?? "(empty)";
  return first.length > MAX_TITLE_CHARACTERS ? `${first.slice(0, MAX_TITLE_CHARACTERS - 1)}…` : first;
}

const MAX_TITLE_CHARACTERS = 60;

export function toJson(notebooks: readonly ReportedNotebook[]): string {
  const described = notebooks.map(({ name, result, problem }) => ({
    notebook: name,
    status: problem === undefined ? (result?.failure ?? (result ? "passed" : "not run")) : "not run",
    ...(problem !== undefined && { problem }),
    ...(result && { started: result.started, durationMs: result.durationMs, cells: result.cells.map(cellJson) }),
  }));
  return `${JSON.stringify({ notebooks: described }, undefined, 2)}\n`;
}

function cellJson(result: CellResult): object {
  const { number, cell, status, origin, started, durationMs, peakMemoryBytes, error } = result;
  const { id, execution_count: executionCount } = cell;
  const measured = { started, durationMs, peakMemoryBytes, error };
  return {
    number,
    ...(id !== undefined && { id }),
    executionCount,
    title: titleOf(result),
    status,
    origin,
    ...measured,
  };
}

/** One test a cell; the dialect that Jenkins, GitLab and GitHub's actions read. */
export function toJunit(notebooks: readonly ReportedNotebook[]): string {
  const suites = notebooks.map(({ name, result, problem }) => {
    const cases = result ? result.cells.map((cell) => testCase(name, cell)) : [problemCase(name, problem ?? "not run")];
    const count = (part: string) => cases.filter((text) => text.includes(part)).length;
    const attributes = {
      name,
      tests: cases.length,
      failures: count("<failure "),
      errors: count("<error "),
      skipped: count("<skipped"),
      time: seconds(result?.durationMs),
      ...(result && { timestamp: result.started }),
    };
    return `<testsuite${xmlAttributes(attributes)}>\n${cases.join("\n")}\n</testsuite>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("\n")}\n</testsuites>\n`;
}

function testCase(notebook: string, result: CellResult): string {
  const { number, status, origin, durationMs, peakMemoryBytes, started, error, cell } = result;
  const attributes = { classname: notebook, name: `cell ${number}: ${titleOf(result)}`, time: seconds(durationMs) };
  const memory =
    peakMemoryBytes === undefined
      ? ""
      : `<properties><property name="peakMemoryBytes" value="${peakMemoryBytes}"/></properties>`;
  const printed = cell.outputs.map(({ output_type, text }) => (output_type === "stream" ? String(text) : "")).join("");
  const output = printed === "" ? "" : `<system-out>${escapeXml(printed)}</system-out>`;
  return `<testcase${xmlAttributes(attributes)}>${memory}${verdict()}${output}</testcase>`;

  function verdict(): string {
    if (origin === "reused") return `<skipped message="${escapeXml(`reused, as it ran at ${started}`)}"/>`;
    if (status === "passed") return "";
    if (status === "skipped" || status === "not run") return `<skipped message="${status}"/>`;
    const kind = status === "failed" ? "failure" : "error";
    const { name = status, value = "", traceback = [] } = error ?? {};
    const message = xmlAttributes({ message: value === "" ? name : `${name}: ${value}`, type: name });
    return `<${kind}${message}>${escapeXml(traceback.join("\n"))}</${kind}>`;
  }
}

function problemCase(notebook: string, problem: string): string {
  return `<testcase${xmlAttributes({ classname: notebook, name: "notebook", time: "0" })}><error${xmlAttributes({ message: problem })}/></testcase>`;
}

/** Lines that GitHub's actions show at the files; https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands */
export function toAnnotations(notebooks: readonly ReportedNotebook[]): string[] {
  return notebooks.flatMap(({ name, result, problem }) => {
    if (problem !== undefined) return [annotation(name, "notebook", problem)];
    const bad = (result?.cells ?? []).filter(({ status, error }) => error && status !== "passed");
    return bad.map(({ number, error }) => {
      const text = error?.traceback.length ? error.traceback.join("\n") : `${error?.name}: ${error?.value}`;
      return annotation(name, `cell ${number}`, text);
    });
  });
}

function annotation(file: string, title: string, text: string): string {
  const data = (value: string) => value.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const property = (value: string) => data(value).replaceAll(":", "%3A").replaceAll(",", "%2C");
  return `::error file=${property(file)},title=${property(title)}::${data(text)}`;
}

function seconds(durationMs = 0): string {
  return (durationMs / 1000).toFixed(3);
}

function xmlAttributes(values: Record<string, unknown>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeXml(String(value)).replaceAll("\n", "&#10;")}"`)
    .join("");
}

/** XML has no place for most control characters, escaped or not, nor for halves of surrogate pairs. */
function escapeXml(text: string): string {
  const printable = text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of terminals
    .replace(/\u001b\[[0-9;]*[A-Za-z]/g, "")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replace(/\p{Surrogate}/gu, "\ufffd");
  return escapeMarkup(printable);
}

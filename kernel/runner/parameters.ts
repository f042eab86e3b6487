/** Values for a notebook's parameters: read from the command line and from YAML, and written as TypeScript. */
import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { messageOf } from "../errors.ts";
import { hasTag, isObject, type Notebook } from "./notebook.ts";
import { RunError } from "./run-error.ts";

export interface Parameter {
  name: string;
  /** What the text may mean, most special first; the parameter's type decides. */
  candidates: unknown[];
}

/** papermill's name for the cell with the values of a run. */
export const INJECTED_TAG = "injected-parameters";

/** Removes what an earlier run injected; returns whether there was something. */
export function removeInjected(notebook: Notebook): boolean {
  const kept = notebook.cells.filter((cell) => !hasTag(cell, INJECTED_TAG));
  const found = kept.length < notebook.cells.length;
  notebook.cells = kept;
  if (isObject(notebook.metadata.prunelab)) delete notebook.metadata.prunelab.parameters;
  return found;
}

/** `name=value`; the value is JSON, a number as JavaScript spells it, or else text. */
export function parseAssignment(text: string): Parameter {
  const match = /^([A-Za-z_$][\w$]*)=([\s\S]*)$/.exec(text);
  if (!match) throw new RunError("options", `invalid -p; name=value: ${text}`);
  const [, name, value] = match as unknown as [string, string, string];
  return { name, candidates: [...parseJson(value), ...parseSpecial(value), value] };
}

/** Throws RunError with one sentence where the file is no YAML mapping. */
export function readParameters(path: string): Parameter[] {
  const bad = (what: string) => new RunError("options", `${what}: ${path}`);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw bad(`cannot read --parameters: ${messageOf(error)}`);
  }
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem) throw bad(`--parameters is not YAML: ${problem.message.split("\n")[0]?.replace(/:$/, "")}`);
  let values: unknown;
  try {
    values = document.toJS();
  } catch (error) {
    throw bad(`--parameters cannot be read as YAML: ${messageOf(error)}`);
  }
  if (values === null) return [];
  if (!isObject(values)) throw bad("--parameters needs a mapping of names to values");
  return Object.entries(values).map(([name, value]) => {
    try {
      toTypeScript(value);
    } catch (error) {
      throw bad(`${messageOf(error)}: parameter ${name}`);
    }
    return { name, candidates: [value] };
  });
}

/** Later ones win. */
export function mergeParameters(parameters: readonly Parameter[]): Parameter[] {
  return [...new Map(parameters.map((parameter) => [parameter.name, parameter])).values()];
}

/** An expression that gives the value again. */
export function toTypeScript(value: unknown): string {
  if (typeof value === "number") {
    if (Number.isNaN(value)) return "Number.NaN";
    if (!Number.isFinite(value)) return `${value < 0 ? "-" : ""}Number.POSITIVE_INFINITY`;
    return Object.is(value, -0) ? "-0" : String(value);
  }
  if (typeof value === "bigint") return `${value}n`;
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(toTypeScript).join(", ")}]`;
  if (isObject(value) && Object.getPrototypeOf(value) === Object.prototype) {
    const entries = Object.entries(value).map(([key, inner]) => {
      // A plain key of that name would set the prototype.
      const name = key === "__proto__" ? '["__proto__"]' : JSON.stringify(key);
      return `${name}: ${toTypeScript(inner)}`;
    });
    return `{${entries.join(", ")}}`;
  }
  throw new Error("value is no text, number, boolean, null, list or mapping of such");
}

function parseJson(text: string): unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return [];
  }
}

function parseSpecial(text: string): unknown[] {
  return /^(NaN|[-+]?Infinity)$/.test(text) ? [Number(text)] : [];
}

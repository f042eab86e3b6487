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

/** Throws RunError with one sentence if the file is not a YAML mapping. */
export function readParameters(path: string): Parameter[] {
  const bad = (what: string) => new RunError("options", `${what}: ${path}`);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw bad(`cannot read --parameters: ${messageOf(error)}`);
  }
  // As bigint at first, so that long ones keep their digits.
  const document = parseDocument(text, { intAsBigInt: true });
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
  return Object.entries(values).map(([name, exact]) => {
    const value = asNumbers(exact);
    try {
      toTypeScript(value);
    } catch (error) {
      throw bad(`${messageOf(error)}: parameter ${name}`);
    }
    return { name, candidates: typeof exact === "bigint" && !Number.isSafeInteger(value) ? [value, exact] : [value] };
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
  throw new Error("value is not a text, number, boolean, null, list or mapping of such");
}

/** A whole number may be a bigint, and text in the form of ISO 8601 a Date, if nothing else is of the parameter's type. */
export function otherReadings(value: unknown): unknown[] {
  if (typeof value === "number" && Number.isSafeInteger(value)) return [BigInt(value)];
  if (typeof value !== "string") return [];
  return [...(/^-?\d+n?$/.test(value) ? [BigInt(value.replace("n", ""))] : []), ...dateOf(value)];
}

function dateOf(text: string): Date[] {
  if (!/^\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?)?)?$/.test(text)) return [];
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? [] : [date];
}

/** Whole numbers as JavaScript's, all the way down; beyond 2^53 they lose digits, as they do in code. */
function asNumbers(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(asNumbers);
  if (!isObject(value) || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asNumbers(inner)]));
}

/** As JSON, for the notebook's metadata. */
export function toRecord(value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}

/** As toTypeScript; a Date too, which only the parameter's type makes of text. */
export function toLiteral(value: unknown): string {
  return value instanceof Date ? `new Date(${JSON.stringify(value.toISOString())})` : toTypeScript(value);
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

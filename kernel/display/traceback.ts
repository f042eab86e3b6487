/** Turns anything thrown into an error's name, value and a traceback of the user's own lines. */
import { inspect } from "node:util";
import { cutText } from "../../src/base/cut-text.ts";
import type { CellError } from "../protocol/worker-channel.ts";
import { sourceOf } from "./stack.ts";

/** Lines of source shown above and below the one that failed. */
const CONTEXT_LINES = 2;
const MAX_CAUSES = 5;
const MAX_FRAMES = 20;
const MAX_LINE_CHARACTERS = 160;
const MAX_VALUE_CHARACTERS = 10_000;

interface Frame {
  call: string;
  file: string;
  line: number;
  column: number;
}

/** Never throws, whatever the thrown value does when it is looked at. */
export function describeError(thrown: unknown): CellError {
  try {
    if (!isError(thrown)) {
      const value = cut(inspect(thrown));
      return { name: "Uncaught", value, traceback: [`Uncaught ${value}`] };
    }
    return { name: nameOf(thrown), value: cut(messageOf(thrown)), traceback: tracebackOf(thrown) };
  } catch {
    const value = "an error that cannot be shown";
    return { name: "Error", value, traceback: [`Error: ${value}`] };
  }
}

/** A property of the error as text; `otherwise` if it has none or throws when it is asked for. */
function textOf(error: Error, key: "name" | "message" | "stack", otherwise: string): string {
  const value = read(error, key);
  try {
    return value === UNREADABLE || value === undefined ? otherwise : String(value);
  } catch {
    return otherwise;
  }
}

const nameOf = (error: Error) => textOf(error, "name", "Error");
const messageOf = (error: Error) => textOf(error, "message", "an error that cannot be shown");

const UNREADABLE = Symbol("a value that cannot be shown");

function read(error: Error, key: string): unknown {
  try {
    return Reflect.get(error, key);
  } catch {
    return UNREADABLE;
  }
}

function isError(value: unknown): value is Error {
  try {
    return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
  } catch {
    return false;
  }
}

function tracebackOf(error: Error, depth = 0): string[] {
  const stack = textOf(error, "stack", "");
  const at = stack.search(/^ {4}at /m);
  const message = at < 0 ? stack : stack.slice(0, at).trimEnd();
  const frames = userFrames(at < 0 ? "" : stack.slice(at));
  const lines = [cut(message || `${nameOf(error)}: ${messageOf(error)}`)];
  const top = frames.find((frame) => sourceOf(frame.file) !== undefined);
  for (const frame of frames.slice(0, MAX_FRAMES)) {
    lines.push(`    at ${frame.call === "" ? "" : `${frame.call} `}(${place(frame)})`);
    if (frame === top) lines.push(...excerpt(sourceOf(frame.file) ?? "", frame.line));
  }
  const details = Object.keys(error).filter(
    (key) => key !== "stack" && key !== "message" && key !== "cause" && key !== "name",
  );
  for (const key of details.slice(0, 10)) lines.push(`  ${key}: ${cut(safeInspect(read(error, key)))}`);
  if (depth >= MAX_CAUSES) return lines;
  const errors = read(error, "errors");
  if (error instanceof AggregateError && Array.isArray(errors)) {
    for (const inner of errors.slice(0, MAX_CAUSES)) lines.push(...nested("One of the errors", inner, depth));
  }
  const cause = read(error, "cause");
  if (cause !== undefined) lines.push(...nested("Caused by", cause, depth));
  return lines;
}

function nested(label: string, inner: unknown, depth: number): string[] {
  if (!isError(inner)) return [`${label}: ${cut(safeInspect(inner))}`];
  const [first = "", ...rest] = tracebackOf(inner, depth + 1);
  return [`${label}: ${first}`, ...rest];
}

/** Frames in cells and in the user's files; those of packages only when there are no others. */
function userFrames(stack: string): Frame[] {
  const all = stack.split("\n").flatMap((line) => {
    const match = /^ {4}at (?:(.*) \()?(.*?):(\d+):(\d+)\)?$/.exec(line);
    if (!match) return [];
    const [, call = "", file = "", row, column] = match;
    return [{ call, file: file.replace(/^async /, ""), line: Number(row), column: Number(column) }];
  });
  const own = all.filter(({ file }) => !file.startsWith("node:") && !file.includes("/node_modules/"));
  return own.length > 0 ? own : all;
}

function place({ file, line, column }: Frame): string {
  const cell = /^cell-(\d+)\.ts$/.exec(file);
  if (cell) return `cell ${cell[1]}, line ${line}, column ${column}`;
  return `${file}:${line}:${column}`;
}

/** The lines around `line` (from 1) with an arrow at it. */
export function excerpt(source: string, line: number): string[] {
  const all = source.split("\n");
  const first = Math.max(1, line - CONTEXT_LINES);
  const last = Math.min(all.length, line + CONTEXT_LINES);
  const width = String(last).length;
  const shown: string[] = [];
  for (let number = first; number <= last; number++) {
    const mark = number === line ? "---> " : "     ";
    shown.push(`${mark}${String(number).padStart(width)} | ${cut(all[number - 1] ?? "", MAX_LINE_CHARACTERS)}`);
  }
  return shown;
}

function safeInspect(value: unknown): string {
  if (value === UNREADABLE) return UNREADABLE.description ?? "";
  try {
    return inspect(value, { depth: 1 });
  } catch {
    return "a value that cannot be shown";
  }
}

function cut(text: string, limit = MAX_VALUE_CHARACTERS): string {
  return text.length <= limit ? text : `${cutText(text, limit)}…`;
}

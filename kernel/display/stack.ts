/** Makes the stacks of errors in cells point into the user's own source, without frames of the kernel. */
import { findSourceMap, SourceMap } from "node:module";
import type { Script } from "../protocol/worker-channel.ts";

interface Known {
  source: string;
  map: SourceMap | undefined;
  text: string;
}

const scripts = new Map<string, Known>();
/** transpile.ts puts this many lines before the code of a cell. */
const PREFIX_LINES = 1;
/** engine.ts, whose function `post` stands between the kernel and a cell. */
const engineFile = /[\\/]cell[\\/]engine\.[jt]s$/;
const engineFolder = new URL("../", import.meta.url).href;

/** Remembers a cell, by the name that it has in stacks. */
export function rememberScript({ file, source, map }: Script): void {
  scripts.set(file, { source, text: map, map: undefined });
}

/** What the user wrote in the cell of that name. */
export function sourceOf(file: string): string | undefined {
  return scripts.get(file)?.source;
}

/** The line and column (from 1) in the user's source. */
export function toSource(file: string, line: number, column: number): { line: number; column: number } {
  const known = scripts.get(file);
  if (!known) return { line, column };
  known.map ??= new SourceMap(JSON.parse(known.text));
  const found = known.map.findEntry(Math.max(0, line - 1 - PREFIX_LINES), column - 1) as {
    originalLine?: number;
    originalColumn?: number;
  };
  return {
    line: (found.originalLine ?? line - 1 - PREFIX_LINES) + 1,
    column: (found.originalColumn ?? column - 1) + 1,
  };
}

export function installStacks(): void {
  Error.stackTraceLimit = 50;
  Error.prepareStackTrace = (error, frames) => {
    // All that called the engine is of the kernel; the frames that awaited come after it.
    const engine = frames.findIndex((frame) => frame.getFunctionName() === "post" && engineFile.test(fileOf(frame)));
    const callers = engine < 0 ? [] : frames.slice(engine).filter((frame) => frame.isAsync());
    const own = [...frames.slice(0, engine < 0 ? undefined : engine), ...callers].filter(isOfUser);
    return `${headline(error)}${own.map((frame) => `\n    at ${describe(frame)}`).join("")}`;
  };
}

function fileOf(frame: NodeJS.CallSite): string {
  return frame.getFileName() || frame.getScriptNameOrSourceURL() || "";
}

function headline(error: unknown): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    return "Error";
  }
}

function isOfUser(frame: NodeJS.CallSite): boolean {
  const file = fileOf(frame);
  if (file.startsWith(engineFolder)) return false;
  if (file.startsWith("node:internal/") || file === "node:inspector" || file === "node:vm") return false;
  // Frames of the language itself, such as Promise.all and Array.map, have no file.
  return file !== "" || frame.isPromiseAll() || frame.isNative();
}

function describe(frame: NodeJS.CallSite): string {
  const file = fileOf(frame);
  const line = frame.getLineNumber();
  const column = frame.getColumnNumber();
  const text = String(frame);
  if (line === null || column === null) return text;
  const mapped = scripts.has(file) ? toSource(file, line, column) : mappedByNode(file, line, column);
  return text.replace(`:${line}:${column}`, `:${mapped.line}:${mapped.column}`);
}

/** Local TypeScript files, whose maps tsx has given to Node. */
function mappedByNode(file: string, line: number, column: number): { line: number; column: number } {
  const found = findSourceMap(file)?.findEntry(line - 1, column - 1) as
    | { originalLine?: number; originalColumn?: number }
    | undefined;
  if (found?.originalLine === undefined) return { line, column };
  return { line: found.originalLine + 1, column: (found.originalColumn ?? 0) + 1 };
}

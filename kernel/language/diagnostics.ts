/** Tells a compiler's errors as a traceback does: message, code, line, and a caret under the source. */
import type { DiagnosticMessageChain, Diagnostic as Found } from "typescript";
import { parseCell } from "./cell-source.ts";
import type { CellModule } from "./cell-text.ts";
import type { CompileError } from "./language-messages.ts";
import type { CellProgram } from "./program.ts";
import { ts } from "./typescript.ts";

/** `line` and `character` count from 0. */
interface Position {
  offset: number;
  line: number;
  character: number;
}

export interface Diagnostic {
  start: Position;
  end: Position;
  /** The error, and what explains it. */
  messages: string[];
  code: number;
  hints?: string[];
}

const MAX_SHOWN = 10;
const MAX_LINE_CHARACTERS = 160;
const MAX_HINTS = 3;
/** Codes below this are of the parser. */
const FIRST_SEMANTIC_CODE = 2000;
/** `assert { … }` is the older spelling of `with { … }`; both run. */
const IGNORED: ReadonlySet<number> = new Set([2880]);
const CANNOT_FIND: ReadonlySet<number> = new Set([2304, 2503, 2552, 2582, 2583, 2584]);
/** "Cannot assign because it is an import": so are the constants of earlier cells, of which the user knows nothing. */
const ASSIGNS_IMPORT = 2632;
const ASSIGNS_CONSTANT = 2588;

/** Whether an error is one of what the user wrote. */
export function isOfCell(found: Found, module: CellModule): boolean {
  const { start = 0, code } = found;
  const isInFront = start >= module.start && start < module.start + module.shift;
  return !isInFront && !IGNORED.has(code) && !(CANNOT_FIND.has(code) && isThere(found));
}

/** Node's types leave out some of what it has, such as WebAssembly, and what is newer than they are. */
function isThere({ file, start = 0, length = 0 }: Found): boolean {
  return Object.hasOwn(globalThis, file?.text.slice(start, start + length) ?? "");
}

export function shown(found: Found, source: string, module?: CellModule): Diagnostic {
  const { start = 0, length = 0 } = found;
  const place = (at: number) => {
    const own = module && at >= module.start ? at - module.shift : at;
    return position(source, Math.min(Math.max(0, own), source.length));
  };
  const messages = flatten(found.messageText).map(plainCellNames);
  if (found.code !== ASSIGNS_IMPORT)
    return { start: place(start), end: place(start + length), messages, code: found.code };
  const constant = (messages[0] ?? "").replace("it is an import", "it is a constant");
  return { start: place(start), end: place(start + length), messages: [constant], code: ASSIGNS_CONSTANT };
}

/** What the parser has to say against a cell. */
export function syntaxErrors(source: string): Diagnostic[] {
  return parseCell(source).errors.map((error) => shown(error, source));
}

/** The imports that would make an unknown name known. */
export function hintsFor({ service }: CellProgram, name: string, { code, start = 0, length = 0 }: Found): string[] {
  if (!CANNOT_FIND.has(code)) return [];
  const fixes = service.getCodeFixesAtPosition(
    name,
    start,
    start + length,
    [code],
    ts.getDefaultFormatCodeSettings(),
    {},
  );
  const imports = fixes
    .filter(({ fixName }) => fixName === "import")
    .flatMap(({ changes }) => changes.flatMap(({ textChanges }) => textChanges.map(({ newText }) => newText.trim())))
    .filter((text) => text.startsWith("import") && !/["']cell:/.test(text));
  return [...new Set(imports)].slice(0, MAX_HINTS);
}

export function describeDiagnostics(diagnostics: readonly Diagnostic[], source: string, file: string): CompileError {
  const lines = source.split("\n");
  const cell = /^cell-(\d+)\.ts$/.exec(file)?.[1];
  const traceback: string[] = [];
  for (const { start, end, messages, code, hints = [] } of diagnostics.slice(0, MAX_SHOWN)) {
    const [message = "", ...explanations] = messages;
    traceback.push(`TS${code}: ${message}`);
    traceback.push(
      `    at ${cell === undefined ? "cell" : `cell ${cell}`}, line ${start.line + 1}, column ${start.character + 1}`,
    );
    const line = lines[start.line];
    if (line !== undefined) traceback.push(...caret(line, start, end));
    traceback.push(...explanations.map((text) => `  ${text}`));
    traceback.push(...hints.map((text) => `  perhaps: ${text}`));
  }
  if (diagnostics.length > MAX_SHOWN) traceback.push(`and ${diagnostics.length - MAX_SHOWN} more`);
  const [first] = diagnostics;
  return {
    name: first && first.code < FIRST_SEMANTIC_CODE ? "SyntaxError" : "TypeScriptError",
    value: first ? `TS${first.code}: ${first.messages[0]}` : "",
    traceback,
  };
}

function flatten(message: string | DiagnosticMessageChain, depth = 0): string[] {
  if (typeof message === "string") return [message];
  const { messageText, next = [] } = message;
  return ["  ".repeat(depth) + messageText, ...next.flatMap((each) => flatten(each, depth + 1))];
}

/** `import("/home/me/.cell-3").Shape` is what the user knows as `Shape` of cell 3. */
function plainCellNames(message: string): string {
  return message.replace(
    /import\("[^"]*\/\.cell(?:-(\d+))?"\)\.([\w$.]+)/g,
    (_, number: string | undefined, name: string) => (number === undefined ? name : `${name} (of an earlier cell)`),
  );
}

function position(source: string, offset: number): Position {
  const before = source.slice(0, offset);
  const start = before.lastIndexOf("\n") + 1;
  return { offset, line: before.split("\n").length - 1, character: offset - start };
}

function caret(line: string, start: Position, end: Position): string[] {
  const number = String(start.line + 1);
  const length = end.line === start.line ? Math.max(1, end.character - start.character) : line.length - start.character;
  // A long line is cut so that the caret stays in sight.
  const from = start.character > MAX_LINE_CHARACTERS ? start.character - MAX_LINE_CHARACTERS / 2 : 0;
  const shown = line.slice(from, from + MAX_LINE_CHARACTERS);
  const indent = line.slice(from, start.character).replace(/[^\t]/g, " ");
  const marks = "^".repeat(Math.min(Math.max(1, length), MAX_LINE_CHARACTERS));
  return [`---> ${number} | ${shown}`, `     ${" ".repeat(number.length)} | ${indent}${marks}`];
}

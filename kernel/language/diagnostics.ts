/** Tells a compiler's errors as a traceback does: message, code, line, and a caret under the source. */
import type { Diagnostic } from "./converter.ts";
import type { CompileError } from "./language-messages.ts";

const MAX_SHOWN = 10;
const MAX_LINE_CHARACTERS = 160;
/** Codes below this are of the parser. */
const FIRST_SEMANTIC_CODE = 2000;

export function describeDiagnostics(diagnostics: readonly Diagnostic[], source: string, file: string): CompileError {
  const lines = source.split("\n");
  const cell = /^cell-(\d+)\.ts$/.exec(file)?.[1];
  const traceback: string[] = [];
  let previous = "";
  for (const { start, end, messageText, code, fileName } of diagnostics.slice(0, MAX_SHOWN)) {
    // A chain of messages repeats its position; the later ones explain the first.
    const position = `${fileName ?? ""}:${start.offset}:${end.offset}`;
    if (position === previous) {
      traceback.push(`  ${messageText}`);
      continue;
    }
    previous = position;
    const place = fileName ?? (cell === undefined ? "cell" : `cell ${cell}`);
    traceback.push(`TS${code}: ${messageText}`);
    traceback.push(`    at ${place}, line ${start.line + 1}, column ${start.character + 1}`);
    const line = lines[start.line];
    if (fileName === undefined && line !== undefined) traceback.push(...caret(line, start, end));
  }
  if (diagnostics.length > MAX_SHOWN) traceback.push(`and ${diagnostics.length - MAX_SHOWN} more`);
  const [first] = diagnostics;
  return {
    name: first && first.code < FIRST_SEMANTIC_CODE ? "SyntaxError" : "TypeScriptError",
    value: first ? `TS${first.code}: ${first.messageText}` : "",
    traceback,
  };
}

function caret(line: string, start: Diagnostic["start"], end: Diagnostic["end"]): string[] {
  const number = String(start.line + 1);
  const length = end.line === start.line ? Math.max(1, end.character - start.character) : line.length - start.character;
  // A long line is cut so that the caret stays in sight.
  const from = start.character > MAX_LINE_CHARACTERS ? start.character - MAX_LINE_CHARACTERS / 2 : 0;
  const shown = line.slice(from, from + MAX_LINE_CHARACTERS);
  const indent = line.slice(from, start.character).replace(/[^\t]/g, " ");
  const marks = "^".repeat(Math.min(Math.max(1, length), MAX_LINE_CHARACTERS));
  return [`---> ${number} | ${shown}`, `     ${" ".repeat(number.length)} | ${indent}${marks}`];
}

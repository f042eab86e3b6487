/** Reads a cell as the module that it is, keeping every character's position. */
import type { Diagnostic, SourceFile, Statement } from "typescript";
import { ts } from "./typescript.ts";

export interface ParsedCell {
  /** As long as the cell, with `export` and `#!` gone. */
  text: string;
  file: SourceFile;
  /** What the parser has to say against it. */
  errors: readonly Diagnostic[];
  /** The cell is an object literal, as in Node's REPL, and not a block; `file` has brackets around it. */
  isObject: boolean;
  /** It has JSX, which a file named `.ts` may not. */
  hasJsx: boolean;
}

export function parseCell(source: string): ParsedCell {
  const text = withoutExports(source.replace(/^#!/, "//"));
  let file = parse(text, false);
  let hasJsx = false;
  if (errorsOf(file).length > 0 && text.includes("<")) {
    const other = parse(text, true);
    hasJsx = errorsOf(other).length < errorsOf(file).length;
    if (hasJsx) file = other;
  }
  const object = asObject(text, file, hasJsx);
  const errors = rootFirst(errorsOf(object ?? file));
  return { text, file: object ?? file, errors, isObject: object !== undefined, hasJsx };
}

/** Text, comment, template and regular expression without an end. */
const UNTERMINATED: ReadonlySet<number> = new Set([1002, 1010, 1160, 1161]);

/** In `'it's'` the parser stumbles over the `s` before it comes to the string that does not end. */
function rootFirst(errors: readonly Diagnostic[]): readonly Diagnostic[] {
  const root = errors.find(({ code }) => UNTERMINATED.has(code));
  const [first] = errors;
  if (!root?.file || !first) return errors;
  const line = ({ start = 0 }: Diagnostic) => root.file?.getLineAndCharacterOfPosition(start).line;
  return line(root) === line(first) ? [root, ...errors.filter((each) => each !== root)] : errors;
}

/** A cell as text for tools that only read it. */
export function prepareCell(source: string): string {
  return parseCell(source).text;
}

/** Whether a comment before the first statement says `@ts-nocheck`. */
export function skipsCheck(code: string): boolean {
  return (ts.getLeadingCommentRanges(code, 0) ?? []).some(({ pos, end }) => /@ts-nocheck\b/.test(code.slice(pos, end)));
}

function parse(text: string, jsx: boolean): SourceFile {
  const options = {
    languageVersion: ts.ScriptTarget.Latest,
    // As for any module: `await` is a word of the language then.
    setExternalModuleIndicator: (file: SourceFile) => {
      (file as unknown as { externalModuleIndicator: unknown }).externalModuleIndicator = true;
    },
  };
  return ts.createSourceFile(jsx ? "cell.tsx" : "cell.ts", text, options, true);
}

function errorsOf(file: SourceFile): readonly Diagnostic[] {
  return (file as unknown as { parseDiagnostics: Diagnostic[] }).parseDiagnostics;
}

function asObject(text: string, file: SourceFile, jsx: boolean): SourceFile | undefined {
  const [first] = file.statements;
  if (!first || !ts.isBlock(first) || /;\s*$/.test(text)) return undefined;
  const wrapped = parse(`(${text}\n)`, jsx);
  return errorsOf(wrapped).length === 0 && wrapped.statements.length === 1 ? wrapped : undefined;
}

/**
 * All that a cell declares is seen by the later ones, so `export` says nothing more; `export … from "m"` imports what it
 * names. `export default` stays: an expression after it is the cell's value.
 */
function withoutExports(text: string): string {
  if (!/\bexport\b/.test(text)) return text;
  let result = text;
  const put = (start: number, end: number, word = "") => {
    result = result.slice(0, start) + word + blank(result.slice(start + word.length, end)) + result.slice(end);
  };
  for (const statement of parse(text, false).statements) {
    const start = statement.getStart();
    if (ts.isExportDeclaration(statement)) {
      const { moduleSpecifier, exportClause } = statement;
      if (!moduleSpecifier) put(start, statement.end);
      else if (exportClause && bindsAll(exportClause)) put(start, start + "export".length, "import");
      else put(start, moduleSpecifier.getStart(), "import");
    } else if (ts.isExportAssignment(statement)) {
      if (statement.isExportEquals) put(start, statement.expression.getStart());
    } else if (ts.canHaveModifiers(statement) && !isDefault(statement)) {
      for (const modifier of ts.getModifiers(statement) ?? []) {
        if (modifier.kind === ts.SyntaxKind.ExportKeyword) put(modifier.getStart(), modifier.end);
      }
    }
  }
  return result;
}

/** Whether `import` may stand before the same names. */
function bindsAll(clause: import("typescript").NamedExportBindings): boolean {
  if (ts.isNamespaceExport(clause)) return ts.isIdentifier(clause.name);
  return clause.elements.every(({ name }) => ts.isIdentifier(name) && name.text !== "default");
}

function isDefault(statement: Statement): boolean {
  return (ts.getCombinedModifierFlags(statement as never) & ts.ModifierFlags.Default) !== 0;
}

function blank(text: string): string {
  return text.replace(/[^\r\n]/g, " ");
}

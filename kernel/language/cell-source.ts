/** Prepares a cell's text for the compiler, keeping every character's position: exports and import attributes go. */
import { ts } from "./typescript.ts";

/** A cell is a module whose declarations are all kept, so `export` says nothing more. */
export function prepareCell(code: string): string {
  const text = code.replace(IMPORT_ATTRIBUTES, (_, start: string, attributes: string) => start + blank(attributes));
  if (!/\bexport\b/.test(text)) return text;
  const file = ts.createSourceFile("cell.ts", text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  let result = text;
  const erase = (start: number, end: number) => {
    result = result.slice(0, start) + blank(result.slice(start, end)) + result.slice(end);
  };
  for (const statement of file.statements) {
    if (ts.isExportDeclaration(statement)) erase(statement.getStart(), statement.end);
    else if (ts.isExportAssignment(statement)) erase(statement.getStart(), statement.expression.getStart());
    else if (ts.canHaveModifiers(statement)) {
      for (const modifier of ts.getModifiers(statement) ?? []) {
        const { kind } = modifier;
        if (kind === ts.SyntaxKind.ExportKeyword || kind === ts.SyntaxKind.DefaultKeyword) {
          erase(modifier.getStart(), modifier.end);
        }
      }
    }
  }
  return result;
}

/** tslab's compiler is older than `with { type: "json" }`; cell-modules.ts imports JSON without being told. */
const IMPORT_ATTRIBUTES = /^([ \t]*import\b[^;\n]*?\bfrom\s*(?:"[^"\n]*"|'[^'\n]*')\s*)(with\s*\{[^}\n]*\})/gm;

function blank(text: string): string {
  return text.replace(/[^\r\n]/g, " ");
}

/** Whether a comment before the first statement says `@ts-nocheck`. */
export function skipsCheck(code: string): boolean {
  return (ts.getLeadingCommentRanges(code, 0) ?? []).some(({ pos, end }) => /@ts-nocheck\b/.test(code.slice(pos, end)));
}

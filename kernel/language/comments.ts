/** Finds the documentation of a name whose comments the compiler does not see; see hasHiddenComments in converter.ts. */
import type { Declaration, JSDoc, Node, Program } from "typescript";
import { CELL_FILE, CELL_PREFIX, hasHiddenComments } from "./converter.ts";
import { ts } from "./typescript.ts";

export interface Comment {
  text: string;
  tags: { name: string; text: string }[];
}

/** `position` counts UTF-16 units of the cell in the program. */
export function commentAt(program: Program, position: number): Comment | undefined {
  const file = program.getSourceFiles().find(({ fileName }) => fileName.endsWith(`/${CELL_FILE}`));
  if (!file) return undefined;
  const { getTouchingPropertyName } = ts as unknown as { getTouchingPropertyName(file: Node, at: number): Node };
  const checker = program.getTypeChecker();
  const found = checker.getSymbolAtLocation(getTouchingPropertyName(file, position + CELL_PREFIX.length));
  const symbol = found && (found.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(found) : found;
  for (const declaration of symbol?.declarations ?? []) {
    const comment = commentOf(declaration);
    if (comment) return comment;
  }
  return undefined;
}

function commentOf(declaration: Declaration): Comment | undefined {
  const { fileName, text } = declaration.getSourceFile();
  if (!hasHiddenComments(fileName)) return undefined;
  // The comment of a variable stands before its statement.
  const isVariable = ts.isVariableDeclaration(declaration) && ts.isVariableStatement(declaration.parent.parent);
  const node = isVariable ? declaration.parent.parent : declaration;
  const range = ts.getLeadingCommentRanges(text, node.getFullStart())?.at(-1);
  if (range?.kind !== ts.SyntaxKind.MultiLineCommentTrivia) return undefined;
  // Before a declaration of its own the comment is parsed as what it was.
  const source = `/**${text.slice(range.pos + 3, range.end)}\ndeclare function documented(): void;`;
  const [statement] = ts.createSourceFile("comment.d.ts", source, ts.ScriptTarget.Latest, true).statements;
  const [doc] = (statement as unknown as { jsDoc?: JSDoc[] } | undefined)?.jsDoc ?? [];
  if (!doc) return undefined;
  const tags = (doc.tags ?? []).map((tag) => {
    const { name: named } = tag as { name?: Node };
    const name = named ? `${named.getText()} ` : "";
    return { name: tag.tagName.text, text: name + (ts.getTextOfJSDocComment(tag.comment) ?? "") };
  });
  return { text: ts.getTextOfJSDocComment(doc.comment) ?? "", tags };
}

/** The type of a name that completion offers. */
import type { Identifier, Node, Program, SourceFile } from "typescript";
import { CELL_FILE, CELL_PREFIX } from "./converter.ts";
import { ts } from "./typescript.ts";

const MAX_CHARACTERS = 300;

/** `position` counts UTF-16 units of the cell in the program. Empty where nothing is known. */
export function signatureAt(program: Program, name: string, position: number): string {
  const file = program.getSourceFiles().find(({ fileName }) => fileName.endsWith(`/${CELL_FILE}`));
  if (!file) return "";
  const node = tokenBefore(position + CELL_PREFIX.length, file);
  const checker = program.getTypeChecker();
  const parent = node?.parent;
  const owner =
    parent && ts.isPropertyAccessExpression(parent) && parent.expression !== node ? parent.expression : undefined;
  const symbol = owner
    ? checker.getPropertyOfType(checker.getApparentType(checker.getTypeAtLocation(owner)), name)
    : resolve(checker, name, node ?? file);
  if (!symbol) return "";
  const text = checker.typeToString(checker.getTypeOfSymbolAtLocation(symbol, node ?? file));
  return text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS)}…`;
}

// Both are of the compiler's own, and not in its published types.
function tokenBefore(position: number, file: SourceFile): Node | undefined {
  const { findPrecedingToken } = ts as unknown as {
    findPrecedingToken(at: number, file: SourceFile): Node | undefined;
  };
  return findPrecedingToken(position, file);
}

function resolve(checker: ReturnType<Program["getTypeChecker"]>, name: string, location: Node) {
  const { resolveName } = checker as unknown as {
    resolveName(
      name: string,
      location: Node,
      meaning: number,
      excludeGlobals: boolean,
    ): ReturnType<typeof checker.getSymbolAtLocation>;
  };
  return resolveName(name, location as Identifier, ts.SymbolFlags.Value, false);
}

/** The names that every cell finds, read from the declarations of the code that makes them. */
import { readFileSync } from "node:fs";
import { ts } from "./typescript.ts";

export interface OwnNames {
  /** The file that declares them. */
  module: string;
  values: string[];
  types: string[];
}

/** Its members are what cells find. */
export const GLOBALS_TYPE = "CellGlobals";

export function ownNames(): OwnNames {
  const extension = import.meta.filename.endsWith(".ts") ? ".ts" : ".d.ts";
  const module = import.meta.filename.replace(/language\/cell-globals\.[jt]s$/, `cell/cell-globals${extension}`);
  const file = ts.createSourceFile(module, readFileSync(module, "utf8"), ts.ScriptTarget.Latest);
  const names: OwnNames = { module, values: [], types: [] };
  for (const statement of file.statements) {
    if (ts.isInterfaceDeclaration(statement) && statement.name.text === GLOBALS_TYPE) {
      for (const { name } of statement.members) if (name && ts.isIdentifier(name)) names.values.push(name.text);
    } else if (
      ts.isExportDeclaration(statement) &&
      statement.exportClause &&
      ts.isNamedExports(statement.exportClause)
    ) {
      for (const { name } of statement.exportClause.elements) names.types.push(name.text);
    }
  }
  return names;
}

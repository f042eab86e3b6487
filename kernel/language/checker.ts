/** Checks cells with tslab's converter, and remembers what the earlier ones declared. */
import type { QuickInfo } from "typescript";
import { prepareCell } from "./cell-source.ts";
import { type Comment, commentAt } from "./comments.ts";
import { type CellConverter, createCellConverter, type Diagnostic } from "./converter.ts";
import { signatureAt } from "./signature.ts";
import { ts } from "./typescript.ts";

export interface Checker {
  /** The errors of a cell; without any, `commit` makes its declarations known to the later ones. */
  check(source: string): { diagnostics: Diagnostic[]; commit(): void };
  /** Makes the declarations of a cell known that is not checked; where they have errors, without types. */
  learn(source: string): void;
  complete(source: string, position: number): ReturnType<CellConverter["complete"]>;
  /** The type of a name at a position of the source that was completed last; empty where there is none. */
  signature(name: string, position: number): string;
  inspect(source: string, position: number): (QuickInfo & { hidden: Comment | undefined }) | undefined;
  /** Forgets what the cells declared. */
  reset(): void;
}

/** "Cannot find module": the compiler would remember that even after the module has come. */
const MODULE_NOT_FOUND = 2307;

export function createChecker(): Checker {
  let converter = createCellConverter();
  let isStale = false;
  let declared = "";

  function current(): CellConverter {
    if (isStale) {
      converter.close();
      converter = createCellConverter();
      isStale = false;
    }
    return converter;
  }

  function check(source: string): ReturnType<Checker["check"]> {
    const { diagnostics, declOutput = "" } = current().convert(declared, prepareCell(source));
    isStale = diagnostics.some(({ code }) => code === MODULE_NOT_FOUND);
    return {
      diagnostics,
      commit: () => {
        // References to Node's types come along, and are of no use behind the first line.
        declared = declOutput.replace(/^\/\/\/ <reference .*$/gm, "");
      },
    };
  }

  return {
    check,
    learn: (source) => {
      const { diagnostics, commit } = check(source);
      if (diagnostics.length === 0) return commit();
      // A cell of its own that has no errors: the same names, of any type.
      const untyped = check(
        declaredNames(source)
          .map((name) => `let ${name}: any;`)
          .join("\n"),
      );
      if (untyped.diagnostics.length === 0) untyped.commit();
    },
    complete: (source, position) => current().complete(declared, source, position),
    signature: (name, position) => signatureAt(converter.program(), name, position),
    inspect: (source, position) => {
      const info = current().inspect(declared, source, position);
      return info && { ...info, hidden: commentAt(converter.program(), position) };
    },
    reset: () => {
      declared = "";
    },
  };
}

/** The names that a cell declares at its top level. */
export function declaredNames(source: string): string[] {
  const file = ts.createSourceFile("cell.ts", prepareCell(source), ts.ScriptTarget.Latest, true);
  const names = new Set<string>();
  const addBinding = (name: import("typescript").BindingName): void => {
    if (ts.isIdentifier(name)) names.add(name.text);
    else for (const element of name.elements) if (ts.isBindingElement(element)) addBinding(element.name);
  };
  for (const statement of file.statements) {
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) addBinding(name);
    } else if (ts.isImportDeclaration(statement) && statement.importClause) {
      const { name, namedBindings: bindings } = statement.importClause;
      if (name) names.add(name.text);
      if (bindings && ts.isNamespaceImport(bindings)) names.add(bindings.name.text);
      else for (const element of bindings?.elements ?? []) names.add(element.name.text);
    } else if (
      (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement) || ts.isEnumDeclaration(statement)) &&
      statement.name
    ) {
      names.add(statement.name.text);
    }
  }
  return [...names];
}

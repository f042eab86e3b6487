/** Finds which names a cell declares at its top level, and which of other cells it mentions. */
import type { BindingName, Identifier, ModuleDeclaration, Node, SourceFile, Statement } from "typescript";
import { ts } from "./typescript.ts";

/** What a name can stand for; one name may stand for several. */
export const MEANING = { value: 1, type: 2, namespace: 4 } as const;

export interface Declared {
  /** Bits of MEANING. */
  meaning: number;
  /** Later cells may assign to it. */
  isMutable: boolean;
  /** As completion names it. */
  kind: string;
}

export function declaredIn(file: SourceFile): Map<string, Declared> {
  const found = new Map<string, Declared>();
  const add = (name: string, kind: string, meaning: number, isMutable = false) => {
    const known = found.get(name);
    found.set(name, {
      meaning: meaning | (known?.meaning ?? 0),
      isMutable: isMutable || (known?.isMutable ?? false),
      kind: known?.kind ?? kind,
    });
  };
  for (const statement of file.statements) {
    const declared = named(statement);
    if (declared) add(...declared);
    else if (ts.isImportDeclaration(statement)) addImport(statement, add);
    else if (ts.isVariableStatement(statement)) {
      const { declarationList: list } = statement;
      const isConstant = (list.flags & ts.NodeFlags.Constant) !== 0;
      const kind = isConstant ? "const" : (list.flags & ts.NodeFlags.Let) !== 0 ? "let" : "var";
      for (const { name } of list.declarations) {
        for (const each of boundNames(name)) add(each, kind, MEANING.value, !isConstant);
      }
    } else {
      for (const name of hoistedVariables(statement)) add(name, "var", MEANING.value, true);
    }
  }
  return found;
}

type Entry = [name: string, kind: string, meaning: number, isMutable?: boolean];

function named(statement: Statement): Entry | undefined {
  const { value, type, namespace } = MEANING;
  const text = (name: Identifier | undefined) => name?.text ?? "default";
  if (ts.isFunctionDeclaration(statement)) return statement.name && [text(statement.name), "function", value];
  if (ts.isClassDeclaration(statement)) return statement.name && [text(statement.name), "class", value | type];
  if (ts.isEnumDeclaration(statement)) return [text(statement.name), "enum", value | type | namespace];
  if (ts.isInterfaceDeclaration(statement)) return [text(statement.name), "interface", type];
  if (ts.isTypeAliasDeclaration(statement)) return [text(statement.name), "type", type];
  if (ts.isImportEqualsDeclaration(statement)) return [text(statement.name), "alias", value | type | namespace];
  if (!ts.isModuleDeclaration(statement) || isAugmentation(statement)) return undefined;
  return [text(statement.name as Identifier), "module", namespace | (hasValues(statement) ? value : 0)];
}

function addImport(statement: import("typescript").ImportDeclaration, add: (...entry: Entry) => void): void {
  const clause = statement.importClause;
  if (!clause) return;
  const { value, type, namespace } = MEANING;
  const put = (name: Identifier, isType: boolean) =>
    add(name.text, "alias", isType ? type | namespace : value | type | namespace);
  if (clause.name) put(clause.name, clause.isTypeOnly);
  const bindings = clause.namedBindings;
  if (bindings && ts.isNamespaceImport(bindings)) put(bindings.name, clause.isTypeOnly);
  else for (const each of bindings?.elements ?? []) put(each.name, clause.isTypeOnly || each.isTypeOnly);
}

/** `declare module "m"` and `declare global`: they change what other cells see without declaring a name. */
export function isAugmentation(statement: Node): boolean {
  if (!ts.isModuleDeclaration(statement)) return false;
  return ts.isStringLiteral(statement.name) || (statement.flags & ts.NodeFlags.GlobalAugmentation) !== 0;
}

/** A namespace of types alone is nothing when the code runs. */
function hasValues({ body }: ModuleDeclaration): boolean {
  if (!body) return true;
  if (ts.isModuleDeclaration(body)) return hasValues(body);
  if (!ts.isModuleBlock(body)) return true;
  return body.statements.some((statement) =>
    ts.isModuleDeclaration(statement)
      ? hasValues(statement)
      : !ts.isInterfaceDeclaration(statement) && !ts.isTypeAliasDeclaration(statement),
  );
}

export function boundNames(name: BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? boundNames(element.name) : []));
}

/** The names of `var` inside of blocks and loops. */
export function hoistedVariables(root: Node): string[] {
  const names: string[] = [];
  const visit = (node: Node): void => {
    if (ts.isFunctionLike(node) || ts.isClassLike(node) || ts.isModuleDeclaration(node)) return;
    if (ts.isVariableDeclarationList(node) && (node.flags & ts.NodeFlags.BlockScoped) === 0) {
      for (const { name } of node.declarations) names.push(...boundNames(name));
    }
    ts.forEachChild(node, visit);
  };
  visit(root);
  return names;
}

/** The names that the cell uses, each with the meanings that it is used for; more rather than fewer. */
export function mentionedIn(file: SourceFile): Map<string, number> {
  const found = new Map<string, number>();
  const visit = (node: Node): void => {
    if (ts.isIdentifier(node) && !isLabel(node)) {
      const { value, type, namespace } = MEANING;
      const meaning = ts.isPartOfTypeNode(node) ? type | namespace : usesNamespace(node) ? value | namespace : value;
      found.set(node.text, (found.get(node.text) ?? 0) | meaning);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function usesNamespace({ parent }: Identifier): boolean {
  return ts.isQualifiedName(parent) || ts.isImportEqualsDeclaration(parent) || ts.isExportAssignment(parent);
}

/** A name that stands for nothing that was declared elsewhere: behind a dot, as a key, where it is declared. */
function isLabel(node: Identifier): boolean {
  const { parent } = node as { parent: Node & { name?: Node; propertyName?: Node; label?: Node } };
  if (ts.isQualifiedName(parent)) return parent.right === node;
  if (ts.isShorthandPropertyAssignment(parent)) return false;
  if (ts.isJsxAttribute(parent)) return true;
  return parent.name === node || parent.propertyName === node || parent.label === node;
}

/** Finds what a cell declares and what it reads of other cells, for telling which cells a later one depends on. */
import { prepareCell } from "../language/cell-source.ts";
import { ts } from "../language/typescript.ts";

export interface CellNames {
  /** Top-level names; a `plain` one is a module's, a type's, or a text, number or boolean that nobody else can change. */
  declares: ReadonlyMap<string, "plain" | "value">;
  /** Names that the cell may use as other cells declare them; more rather than fewer. */
  reads: ReadonlySet<string>;
  /** Names of other cells that the cell gives new values. */
  assigns: ReadonlySet<string>;
  /** It may change what no name tells: the global object, the process, a module by its import alone. */
  isOpen: boolean;
}

const OPEN_NAMES: ReadonlySet<string> = new Set(["globalThis", "global", "eval", "comms"]);
/** What of `process` is only read. */
const QUIET_PARTS: ReadonlySet<string> = new Set(
  "arch argv cpuUsage cwd env hrtime memoryUsage pid platform resourceUsage uptime version versions".split(" "),
);

type Node = import("typescript").Node;

export function cellNames(source: string): CellNames {
  const file = ts.createSourceFile("cell.ts", prepareCell(source), ts.ScriptTarget.Latest, true);
  const declares = new Map<string, "plain" | "value">();
  const reads = new Set<string>();
  const assigns = new Set<string>();
  let isOpen = false;
  for (const statement of file.statements) {
    const visit = (node: Node, isLater: boolean): void => {
      // Before its declaration a name is still another cell's, and in a function it may be another's again when that runs.
      const isOwn = (name: string) => !isLater && declares.has(name);
      if (ts.isIdentifier(node) && !isOnlyLabel(node)) {
        isOpen ||= OPEN_NAMES.has(node.text) || (node.text === "process" && !isQuiet(node));
        if (!isOwn(node.text)) reads.add(node.text);
      }
      for (const name of targets(node).flatMap(identifiers)) if (!isOwn(name)) assigns.add(name);
      isOpen ||= assigns.has("process");
      ts.forEachChild(node, (child) => visit(child, isLater || ts.isFunctionLike(node)));
    };
    visit(statement, false);
    isOpen ||= ts.isImportDeclaration(statement) && statement.importClause === undefined;
    for (const [name, kind] of declarations(statement)) declares.set(name, kind);
  }
  return { declares, reads, assigns, isOpen };
}

function declarations(statement: import("typescript").Statement): Map<string, "plain" | "value"> {
  const found = new Map<string, "plain" | "value">();
  if (ts.isImportDeclaration(statement)) {
    const { name, namedBindings: bindings } = statement.importClause ?? {};
    if (name) found.set(name.text, "plain");
    if (bindings && ts.isNamespaceImport(bindings)) found.set(bindings.name.text, "plain");
    else for (const { name } of bindings?.elements ?? []) found.set(name.text, "plain");
  } else if (ts.isVariableStatement(statement)) {
    for (const { name, initializer } of statement.declarationList.declarations) {
      const kind = ts.isIdentifier(name) && isPrimitive(initializer) ? "plain" : "value";
      for (const each of boundNames(name)) found.set(each, kind);
    }
  } else if (ts.isTypeAliasDeclaration(statement) || ts.isInterfaceDeclaration(statement)) {
    found.set(statement.name.text, "plain");
  } else if ("name" in statement && ts.isIdentifier(statement.name as Node)) {
    found.set((statement.name as import("typescript").Identifier).text, "value");
  } else {
    for (const name of hoisted(statement)) found.set(name, "value");
  }
  return found;
}

function boundNames(name: import("typescript").BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? boundNames(element.name) : []));
}

function isPrimitive(node: Node | undefined): boolean {
  if (!node) return false;
  if (ts.isPrefixUnaryExpression(node)) return isPrimitive(node.operand);
  if (ts.isAsExpression(node)) return isPrimitive(node.expression);
  const { TrueKeyword, FalseKeyword, NullKeyword } = ts.SyntaxKind;
  return ts.isLiteralExpression(node) || [TrueKeyword, FalseKeyword, NullKeyword].includes(node.kind as never);
}

/** `var` inside of a block or a loop. */
function hoisted(node: Node): string[] {
  const names: string[] = [];
  const visit = (each: Node): void => {
    if (ts.isFunctionLike(each)) return;
    if (ts.isVariableDeclarationList(each) && !(each.flags & ts.NodeFlags.BlockScoped)) {
      for (const { name } of each.declarations) names.push(...boundNames(name));
    }
    ts.forEachChild(each, visit);
  };
  visit(node);
  return names;
}

/** Behind a dot, before a colon in an object, or where it is declared: no use of a variable. */
function isOnlyLabel(node: import("typescript").Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isVariableDeclaration(parent) || ts.isImportSpecifier(parent)) return parent.name === node;
  if (ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) || ts.isPropertySignature(parent)) {
    return parent.name === node;
  }
  return false;
}

function isQuiet({ parent }: Node): boolean {
  return ts.isPropertyAccessExpression(parent) && QUIET_PARTS.has(parent.name.text);
}

function targets(node: Node): Node[] {
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    const isAssignment = kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
    return isAssignment ? [node.left] : [];
  }
  if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) {
    const { operator } = node;
    const changes = operator === ts.SyntaxKind.PlusPlusToken || operator === ts.SyntaxKind.MinusMinusToken;
    return changes ? [node.operand] : [];
  }
  if ((ts.isForOfStatement(node) || ts.isForInStatement(node)) && !ts.isVariableDeclarationList(node.initializer)) {
    return [node.initializer];
  }
  return [];
}

function identifiers(node: Node): string[] {
  const names: string[] = [];
  const visit = (each: Node): void => {
    if (ts.isIdentifier(each)) names.push(each.text);
    ts.forEachChild(each, visit);
  };
  visit(node);
  return names;
}

/** The changes that make a module of TypeScript's a script for V8's REPL mode, in which every name can be declared again. */
import type {
  ClassDeclaration,
  CustomTransformers,
  Expression,
  FunctionDeclaration,
  ImportDeclaration,
  Node,
  SourceFile,
  Statement,
  TransformationContext,
  TransformerFactory,
  VariableDeclarationList,
  VariableStatement,
  Visitor,
} from "typescript";
import type { CellModule } from "./cell-text.ts";
import { hoistedVariables } from "./declarations.ts";
import { assignmentOf, loopTarget } from "./hoist.ts";
import { ts } from "./typescript.ts";

const HOOKS = "__prunelab";

/** `isValue` tells of an imported name whether it may be a value, and so must be there. */
export function cellTransformers(module: CellModule, isValue: (name: string) => boolean): CustomTransformers {
  let endsWithExport = false;
  const markResult: TransformerFactory<SourceFile> = (context) => (file) => {
    const { factory } = context;
    const statements = file.statements.filter(({ pos, end }) => isOwn(pos, end, module));
    const last = statements.filter((statement) => !ts.isEmptyStatement(statement)).at(-1);
    endsWithExport = last !== undefined && ts.isExportAssignment(last);
    const marked = statements.map((statement) => {
      if (statement !== last || !ts.isExpressionStatement(statement)) return statement;
      const call = ts.setTextRange(hookCall(context, "result", [statement.expression]), statement);
      return ts.setTextRange(factory.createExpressionStatement(call), statement);
    });
    return factory.updateSourceFile(file, ts.setTextRange(factory.createNodeArray(marked), file.statements));
  };
  const toScript: TransformerFactory<SourceFile> = (context) => (file) =>
    scriptOf(file, context, endsWithExport, isValue);
  return { before: [markResult], after: [toScript] };
}

/** Neither of what is put before the cell nor of what is put behind it. */
function isOwn(pos: number, end: number, { start, shift, end: cellEnd }: CellModule): boolean {
  return end >= start + shift && pos < cellEnd;
}

function scriptOf(
  file: SourceFile,
  context: TransformationContext,
  endsWithExport: boolean,
  isValue: (name: string) => boolean,
): SourceFile {
  const { factory } = context;
  const imports: Statement[] = [];
  const functions = new Map<string, Statement>();
  const rest: Statement[] = [];
  const variables = new Set<string>();
  for (const original of file.statements) {
    // What names the exports of a module is of no use in a script.
    if (ts.isExportDeclaration(original)) continue;
    if (ts.isImportDeclaration(original)) {
      imports.push(...importStatements(original, context, isValue));
      continue;
    }
    for (const name of hoistedVariables(original)) variables.add(name);
    const statement = rewrite(withoutDefault(original, context, endsWithExport), context) as Statement;
    if (ts.isFunctionDeclaration(statement) && statement.body && statement.name) {
      functions.set(statement.name.text, functionAsLet(statement, context));
    } else rest.push(constantsAsLet(statement, context));
  }
  const hoisted = [...variables].filter((name) => !functions.has(name));
  const declarations = hoisted.map((name) => factory.createVariableDeclaration(name));
  const list = factory.createVariableDeclarationList(declarations, ts.NodeFlags.Let);
  const lets = hoisted.length === 0 ? [] : [factory.createVariableStatement(undefined, list)];
  return factory.updateSourceFile(file, [...lets, ...imports, ...functions.values(), ...rest]);
}

/** `export default` of an expression, or of a function or class without a name, is the value of a cell that ends with it. */
function withoutDefault(statement: Statement, context: TransformationContext, endsWithExport: boolean): Statement {
  const { factory } = context;
  const asValue = (value: Expression) =>
    ts.setTextRange(
      factory.createExpressionStatement(endsWithExport ? hookCall(context, "result", [value]) : value),
      statement,
    );
  if (ts.isExportAssignment(statement)) return asValue(statement.expression);
  if (!ts.isFunctionDeclaration(statement) && !ts.isClassDeclaration(statement)) return statement;
  const modifiers = ts.getModifiers(statement)?.filter(({ kind }) => !isExport(kind));
  if (ts.isFunctionDeclaration(statement)) {
    const { asteriskToken, name, parameters, body } = statement;
    if (!name) return asValue(functionExpression(statement, context));
    return factory.updateFunctionDeclaration(
      statement,
      modifiers,
      asteriskToken,
      name,
      undefined,
      parameters,
      undefined,
      body,
    );
  }
  const { name, heritageClauses, members } = statement as ClassDeclaration;
  if (!name) return asValue(factory.createClassExpression(modifiers, undefined, undefined, heritageClauses, members));
  return factory.updateClassDeclaration(statement, modifiers, name, undefined, heritageClauses, members);
}

function isExport(kind: import("typescript").SyntaxKind): boolean {
  return kind === ts.SyntaxKind.ExportKeyword || kind === ts.SyntaxKind.DefaultKeyword;
}

/** `import a, { b as c } from "m"` → `let { default: a, b: c } = await …imports("m", ["default", "b"])`. */
function importStatements(
  declaration: ImportDeclaration,
  context: TransformationContext,
  isValue: (name: string) => boolean,
): Statement[] {
  const { factory } = context;
  const { importClause: clause, moduleSpecifier, attributes } = declaration;
  const options = attributes ? [attributesObject(attributes, context)] : [];
  if (!clause) {
    const loaded = factory.createAwaitExpression(hookCall(context, "import", [moduleSpecifier, ...options]));
    return [ts.setTextRange(factory.createExpressionStatement(loaded), declaration)];
  }
  const bindings = clause.namedBindings;
  const elements =
    bindings && ts.isNamedImports(bindings) ? bindings.elements.filter((each) => isValue(each.name.text)) : [];
  const names = elements.map(({ propertyName, name }) => ({ imported: (propertyName ?? name).text, local: name }));
  if (clause.name && isValue(clause.name.text)) names.unshift({ imported: "default", local: clause.name });
  const statements: Statement[] = [];
  const declare = (name: Parameters<typeof factory.createVariableDeclaration>[0], value: Expression) => {
    const variable = factory.createVariableDeclaration(
      name,
      undefined,
      undefined,
      factory.createAwaitExpression(value),
    );
    const list = factory.createVariableDeclarationList([variable], ts.NodeFlags.Let);
    statements.push(ts.setTextRange(factory.createVariableStatement(undefined, list), declaration));
  };
  if (bindings && ts.isNamespaceImport(bindings) && isValue(bindings.name.text)) {
    declare(bindings.name, hookCall(context, "import", [moduleSpecifier, ...options]));
  }
  if (names.length > 0) {
    const pattern = names.map(({ imported, local }) =>
      factory.createBindingElement(
        undefined,
        imported === local.text ? undefined : propertyName(imported, context),
        local,
      ),
    );
    const texts = factory.createArrayLiteralExpression(
      names.map(({ imported }) => factory.createStringLiteral(imported)),
    );
    declare(
      factory.createObjectBindingPattern(pattern),
      hookCall(context, "imports", [moduleSpecifier, texts, ...options]),
    );
  }
  return statements;
}

function propertyName(text: string, { factory }: TransformationContext) {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(text)
    ? factory.createIdentifier(text)
    : factory.createStringLiteral(text);
}

/** `with { type: "json" }` → `{ with: { type: "json" } }`, as dynamic imports have it. */
function attributesObject(
  { elements }: import("typescript").ImportAttributes,
  { factory }: TransformationContext,
): Expression {
  const properties = elements.map(({ name, value }) => factory.createPropertyAssignment(name as never, value));
  return factory.createObjectLiteralExpression([
    factory.createPropertyAssignment("with", factory.createObjectLiteralExpression(properties)),
  ]);
}

/** A function becomes a `let` at the top, so that a later cell can declare its name anew in any way. */
function functionAsLet(declaration: FunctionDeclaration, context: TransformationContext): VariableStatement {
  const { factory } = context;
  const value = ts.setTextRange(functionExpression(declaration, context), declaration);
  const name = declaration.name as NonNullable<typeof declaration.name>;
  const variable = factory.createVariableDeclaration(name, undefined, undefined, value);
  const list = factory.createVariableDeclarationList([variable], ts.NodeFlags.Let);
  return ts.setTextRange(factory.createVariableStatement(undefined, list), declaration);
}

function functionExpression(declaration: FunctionDeclaration, { factory }: TransformationContext): Expression {
  const { modifiers, asteriskToken, parameters, body } = declaration;
  const isAsync = modifiers?.filter((modifier) => modifier.kind === ts.SyntaxKind.AsyncKeyword) as never;
  return factory.createFunctionExpression(
    isAsync,
    asteriskToken,
    undefined,
    undefined,
    parameters,
    undefined,
    body as NonNullable<typeof body>,
  );
}

/** V8's REPL mode lets a name be declared again only by the same word. The checker still knows what is constant. */
function constantsAsLet(statement: Statement, { factory }: TransformationContext): Statement {
  if (!ts.isVariableStatement(statement)) return statement;
  const { declarationList } = statement;
  const list = factory.createVariableDeclarationList(declarationList.declarations, ts.NodeFlags.Let);
  return factory.updateVariableStatement(statement, undefined, ts.setTextRange(list, declarationList));
}

/** Dynamic imports and `import.meta` everywhere; at the top level awaits, and `var` in any place. */
function rewrite(root: Node, context: TransformationContext): Node {
  const { factory } = context;
  const visit = (topLevel: boolean): Visitor => {
    const visitor: Visitor = (node) => {
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const args = node.arguments.map((argument) => ts.visitNode(argument, visitor) as Expression);
        return ts.setTextRange(hookCall(context, "import", args), node);
      }
      if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) {
        return ts.setTextRange(hook(context, "meta"), node);
      }
      if (topLevel && ts.isAwaitExpression(node)) {
        const awaited = ts.visitNode(node.expression, visitor) as Expression;
        const held = ts.setTextRange(hookCall(context, "hold", [awaited]), node);
        return ts.setTextRange(factory.createAwaitExpression(held), node);
      }
      const inside = topLevel && startsScope(node) ? visit(false) : visitor;
      const inner = ts.visitEachChild(node, inside, context);
      return topLevel ? withoutVar(heldLoop(inner, context), context) : inner;
    };
    return visitor;
  };
  return ts.visitNode(root, visit(true)) as Node;
}

function heldLoop(node: Node, context: TransformationContext): Node {
  if (!ts.isForOfStatement(node) || !node.awaitModifier) return node;
  const { awaitModifier, initializer, expression, statement } = node;
  const each = ts.setTextRange(hookCall(context, "holdEach", [expression]), expression);
  return context.factory.updateForOfStatement(node, awaitModifier, initializer, each, statement);
}

/** `var` declares for the whole script; what is left of it in its place is an assignment. */
function withoutVar(node: Node, context: TransformationContext): Node {
  const { factory } = context;
  const isVar = (each: Node | undefined): each is VariableDeclarationList =>
    each !== undefined && ts.isVariableDeclarationList(each) && (each.flags & ts.NodeFlags.BlockScoped) === 0;
  if (ts.isVariableStatement(node) && isVar(node.declarationList)) {
    const value = assignmentOf(node.declarationList, context);
    return ts.setTextRange(value ? factory.createExpressionStatement(value) : factory.createEmptyStatement(), node);
  }
  if (ts.isForStatement(node) && isVar(node.initializer)) {
    const value = assignmentOf(node.initializer, context);
    return factory.updateForStatement(node, value, node.condition, node.incrementor, node.statement);
  }
  if (ts.isForOfStatement(node) && isVar(node.initializer)) {
    const target = loopTarget(node.initializer, context);
    return factory.updateForOfStatement(node, node.awaitModifier, target, node.expression, node.statement);
  }
  if (ts.isForInStatement(node) && isVar(node.initializer)) {
    const target = loopTarget(node.initializer, context);
    return factory.updateForInStatement(node, target, node.expression, node.statement);
  }
  return node;
}

function startsScope(node: Node): boolean {
  return ts.isFunctionLike(node) || ts.isClassStaticBlockDeclaration(node) || ts.isPropertyDeclaration(node);
}

function hook({ factory }: TransformationContext, name: string) {
  return factory.createPropertyAccessExpression(factory.createIdentifier(HOOKS), name);
}

function hookCall(context: TransformationContext, name: string, args: readonly Expression[]) {
  return context.factory.createCallExpression(hook(context, name), undefined, args);
}

/** TypeScript cell → JavaScript for V8's REPL mode: types go, imports become awaited calls, the last value is handed over. */
import type {
  CompilerOptions,
  Expression,
  FunctionDeclaration,
  ImportDeclaration,
  Node,
  SourceFile,
  Statement,
  TransformationContext,
  TransformerFactory,
  VariableStatement,
  Visitor,
} from "typescript";
import type { Script } from "../cell/worker-channel.ts";
import { prepareCell } from "./cell-source.ts";
import { emit } from "./emit.ts";
import { ts } from "./typescript.ts";

const HOOKS = "__prunelab";

const OPTIONS: CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  isolatedModules: true,
  // Another cell may use an import that this one does not.
  verbatimModuleSyntax: true,
  experimentalDecorators: true,
  sourceMap: true,
  newLine: ts.NewLineKind.LineFeed,
};

/** Syntax errors are left to V8, or to the checker, which runs first. stack.ts knows of the line put before the code. */
export function transpileCell(source: string, file: string): Script {
  const { code, map } = emit(file, prepareCell(source), OPTIONS, { before: [rewriteCell], after: [useLet] });
  return { file, source, map, code: `"use strict";\n${code}\n//# sourceURL=${file}` };
}

const rewriteCell: TransformerFactory<SourceFile> = (context) => (file) => {
  const { factory } = context;
  const imports: Statement[] = [];
  const functions: Statement[] = [];
  const rest: Statement[] = [];
  const last = file.statements.filter((statement) => !ts.isEmptyStatement(statement)).at(-1);
  for (const statement of file.statements) {
    if (ts.isImportDeclaration(statement)) {
      imports.push(...importStatements(statement, context));
      continue;
    }
    const visited = rewriteCalls(statement, context) as Statement;
    if (ts.isFunctionDeclaration(visited) && visited.body && visited.name) {
      functions.push(functionAsLet(visited, context));
    } else if (statement === last && ts.isExpressionStatement(visited)) {
      const call = ts.setTextRange(hookCall(context, "result", [visited.expression]), visited);
      rest.push(ts.setTextRange(factory.createExpressionStatement(call), visited));
    } else {
      rest.push(visited);
    }
  }
  return factory.updateSourceFile(file, [...imports, ...functions, ...rest]);
};

/** `import a, { b as c } from "m"` → `const m = await import("m"), a = m.default, c = m.b`; types alone → nothing. */
function importStatements(declaration: ImportDeclaration, context: TransformationContext): Statement[] {
  const { factory } = context;
  const { importClause: clause, moduleSpecifier } = declaration;
  const loaded = hookAwait(context, hookCall(context, "import", [moduleSpecifier]));
  if (!clause) return [ts.setTextRange(factory.createExpressionStatement(loaded), declaration)];
  if (clause.isTypeOnly) return [];
  const bindings = clause.namedBindings;
  const constant = (name: Parameters<typeof factory.createVariableDeclaration>[0], value: Expression) =>
    ts.setTextRange(
      factory.createVariableStatement(
        undefined,
        factory.createVariableDeclarationList(
          [factory.createVariableDeclaration(name, undefined, undefined, value)],
          ts.NodeFlags.Const,
        ),
      ),
      declaration,
    );
  const statements: Statement[] = [];
  let module: Expression = loaded;
  if (bindings && ts.isNamespaceImport(bindings)) {
    statements.push(constant(bindings.name, loaded));
    module = bindings.name;
  }
  const elements = bindings && ts.isNamedImports(bindings) ? bindings.elements.filter((item) => !item.isTypeOnly) : [];
  const names = elements.map(({ propertyName, name }) =>
    factory.createBindingElement(undefined, propertyName ?? undefined, name),
  );
  if (clause.name) names.unshift(factory.createBindingElement(undefined, "default", clause.name));
  if (names.length > 0) statements.push(constant(factory.createObjectBindingPattern(names), module));
  return statements;
}

/** A function becomes a `let` at the top, so that a later cell can declare its name anew in any way. */
function functionAsLet(declaration: FunctionDeclaration, { factory }: TransformationContext): VariableStatement {
  const { modifiers, asteriskToken, typeParameters, parameters, type, body, name } = declaration;
  const isAsync = modifiers?.filter((modifier) => modifier.kind === ts.SyntaxKind.AsyncKeyword) as never;
  const value = factory.createFunctionExpression(
    isAsync,
    asteriskToken,
    undefined,
    typeParameters,
    parameters,
    type,
    body as NonNullable<typeof body>,
  );
  const variable = factory.createVariableDeclaration(
    name as NonNullable<typeof name>,
    undefined,
    undefined,
    ts.setTextRange(value, declaration),
  );
  const list = factory.createVariableDeclarationList([variable], ts.NodeFlags.Let);
  return ts.setTextRange(factory.createVariableStatement(undefined, list), declaration);
}

/** Dynamic imports and `import.meta` everywhere, awaits at the top level. */
function rewriteCalls(root: Node, context: TransformationContext): Node {
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
        return ts.setTextRange(hookAwait(context, ts.setTextRange(hookCall(context, "hold", [awaited]), node)), node);
      }
      if (topLevel && ts.isForOfStatement(node) && node.awaitModifier) {
        const inner = ts.visitEachChild(node, visitor, context);
        const each = ts.setTextRange(hookCall(context, "holdEach", [inner.expression]), inner.expression);
        return factory.updateForOfStatement(inner, inner.awaitModifier, inner.initializer, each, inner.statement);
      }
      const inside = topLevel && startsScope(node) ? visit(false) : visitor;
      return ts.visitEachChild(node, inside, context);
    };
    return visitor;
  };
  return ts.visitNode(root, visit(true)) as Node;
}

function startsScope(node: Node): boolean {
  return ts.isFunctionLike(node) || ts.isClassStaticBlockDeclaration(node) || ts.isPropertyDeclaration(node);
}

/**
 * Top-level `const`, `var`, and what TypeScript writes as `var` (enums, namespaces) become `let`: V8's REPL mode lets a
 * name be declared again only by the same word. The checker still knows what is constant.
 */
const useLet: TransformerFactory<SourceFile> =
  ({ factory }) =>
  (file) => {
    const count = new Map<string, number>();
    for (const statement of file.statements) {
      for (const name of ts.isVariableStatement(statement) ? declaredNames(statement) : []) {
        count.set(name, (count.get(name) ?? 0) + 1);
      }
    }
    // Without imports left, TypeScript ends the file with `export {}`.
    const kept = file.statements.filter((statement) => !ts.isExportDeclaration(statement));
    const statements = kept.map((statement) => {
      if (!ts.isVariableStatement(statement)) return statement;
      // `var` may come twice in one cell, `let` may not.
      if (declaredNames(statement).some((name) => (count.get(name) ?? 0) > 1)) return statement;
      const { declarationList } = statement;
      const list = factory.createVariableDeclarationList(declarationList.declarations, ts.NodeFlags.Let);
      return factory.updateVariableStatement(statement, statement.modifiers, ts.setTextRange(list, declarationList));
    });
    return factory.updateSourceFile(file, statements);
  };

function declaredNames(statement: VariableStatement): string[] {
  return statement.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
}

function hook({ factory }: TransformationContext, name: string) {
  return factory.createPropertyAccessExpression(factory.createIdentifier(HOOKS), name);
}

function hookCall(context: TransformationContext, name: string, args: readonly Expression[]) {
  return context.factory.createCallExpression(hook(context, name), undefined, args);
}

function hookAwait({ factory }: TransformationContext, value: Expression) {
  return factory.createAwaitExpression(value);
}

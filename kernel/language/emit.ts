/**
 * Writes JavaScript as `ts.transpileModule` does, without making a program and checking it first, which takes most of its
 * time. Built from parts of the compiler that are not in its published types; its version is pinned with tslab.
 */
import type { CompilerOptions, CustomTransformers, Node, SourceFile } from "typescript";
import { ts } from "./typescript.ts";

interface Internals {
  getTransformers(options: CompilerOptions, custom: CustomTransformers): { scriptTransformers: unknown[] };
  transformNodes(
    resolver: object,
    host: object,
    factory: unknown,
    options: CompilerOptions,
    nodes: SourceFile[],
    transformers: unknown[],
    allowDeclarations: boolean,
  ): { transformed: SourceFile[]; emitNodeWithNotification: never; substituteNode: never; dispose(): void };
  bindSourceFile(file: SourceFile, options: CompilerOptions): void;
  createTextWriter(newLine: string): { getText(): string };
  createSourceMapGenerator(
    host: object,
    file: string,
    root: string,
    folder: string,
    options: object,
  ): { toString(): string };
  createPrinter(
    options: CompilerOptions,
    handlers: object,
  ): {
    writeFile(file: SourceFile, writer: object, map: object): void;
  };
  factory: unknown;
}

const internals = ts as unknown as Internals;

const host = {
  getCurrentDirectory: () => "",
  getCanonicalFileName: (name: string) => name,
  getCompilerOptions: () => ({}),
  getEmitHelpers: () => undefined,
};

/** The answers that a compiler gives who sees one file alone: every import is of a value, nothing is known to be constant. */
const resolver = {
  isReferencedAliasDeclaration: () => true,
  isValueAliasDeclaration: () => true,
  isTopLevelValueImportEqualsWithEntityName: () => true,
  isReferencedInternalAliasDeclaration: () => true,
  getConstantValue: () => undefined,
  getNodeCheckFlags: () => 0,
  hasGlobalName: () => false,
  isDeclarationWithCollidingName: () => false,
  getReferencedDeclarationWithCollidingName: () => undefined,
  getReferencedExportContainer: () => undefined,
  getReferencedImportDeclaration: () => undefined,
  getReferencedValueDeclaration: () => undefined,
  getReferencedValueDeclarations: () => undefined,
  getExternalModuleFileFromDeclaration: () => undefined,
  isArgumentsLocalBinding: () => false,
};

/** Syntax errors do not stop it. */
export function emit(
  name: string,
  source: string,
  options: CompilerOptions,
  custom: CustomTransformers,
): { code: string; map: string } {
  const file = ts.createSourceFile(name, source, options.target ?? ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  if (needsProgram(file)) {
    const whole = ts.transpileModule(source, { fileName: name, compilerOptions: options, transformers: custom });
    const code = whole.outputText.replace(/(^|\n)\/\/# sourceMappingURL=.*\s*$/, "$1");
    return { code, map: whole.sourceMapText ?? "" };
  }
  internals.bindSourceFile(file, options);
  const { scriptTransformers } = internals.getTransformers(options, custom);
  const result = internals.transformNodes(
    resolver,
    host,
    internals.factory,
    options,
    [file],
    scriptTransformers,
    false,
  );
  const printer = internals.createPrinter(options, {
    hasGlobalName: resolver.hasGlobalName,
    onEmitNode: result.emitNodeWithNotification,
    substituteNode: result.substituteNode,
  });
  const writer = internals.createTextWriter("\n");
  const map = internals.createSourceMapGenerator(host, name, "", "", options);
  printer.writeFile(result.transformed[0] as SourceFile, writer, map);
  result.dispose();
  return { code: writer.getText(), map: map.toString() };
}

/** Whether the output depends on what only a checker knows: the values of enums, and names inside namespaces and classes. */
function needsProgram(node: Node): boolean {
  if (ts.isEnumDeclaration(node) || ts.isModuleDeclaration(node) || ts.isDecorator(node)) return true;
  return ts.forEachChild(node, needsProgram) ?? false;
}

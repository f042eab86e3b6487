/** The compiler's options for the cells of a folder: what the running Node has, and what the folder's tsconfig.json says. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { CompilerOptions } from "typescript";
import { ts } from "./typescript.ts";

/** What came into the language later than the oldest Node that runs cells, and how to see whether it is there. */
const LATER_LIBRARIES: readonly [file: string, object: object, name: string][] = [
  ["es2024.arraybuffer", ArrayBuffer.prototype, "transfer"],
  ["es2024.collection", Map, "groupBy"],
  ["es2024.object", Object, "groupBy"],
  ["es2024.promise", Promise, "withResolvers"],
  ["es2024.regexp", RegExp.prototype, "unicodeSets"],
  ["es2024.sharedmemory", Atomics, "waitAsync"],
  ["es2024.string", String.prototype, "isWellFormed"],
  ["es2025.collection", Set.prototype, "union"],
  ["es2025.float16", globalThis, "Float16Array"],
  ["es2025.intl", Intl, "DurationFormat"],
  ["es2025.iterator", globalThis, "Iterator"],
  ["es2025.promise", Promise, "try"],
  ["es2025.regexp", RegExp, "escape"],
  ["esnext.array", Array, "fromAsync"],
  ["esnext.collection", Map.prototype, "getOrInsert"],
  ["esnext.error", Error, "isError"],
  ["esnext.sharedmemory", Atomics, "pause"],
  ["esnext.typedarrays", Uint8Array, "fromBase64"],
  ["esnext.temporal", globalThis, "Temporal"],
];

/** What the compiler would say of style; a cell is not to be stopped by it. */
const LENIENT: CompilerOptions = {
  noUnusedLocals: false,
  noUnusedParameters: false,
  noImplicitReturns: false,
  noFallthroughCasesInSwitch: false,
  noImplicitOverride: false,
  noPropertyAccessFromIndexSignature: false,
  isolatedModules: false,
  isolatedDeclarations: false,
  erasableSyntaxOnly: false,
  verbatimModuleSyntax: false,
};

/** What a tsconfig.json further up, of a project that the notebook lies in, says of finding and reading modules. */
const OF_PROJECT = [
  "paths",
  "baseUrl",
  "rootDirs",
  "types",
  "typeRoots",
  "customConditions",
  "jsx",
  "jsxFactory",
  "jsxFragmentFactory",
  "jsxImportSource",
  "experimentalDecorators",
  "emitDecoratorMetadata",
  "useDefineForClassFields",
] as const;

/** What a tsconfig.json says of the files that a build makes, or of code that cannot be reached. */
const OF_OUTPUT = [
  "allowUnreachableCode",
  "allowUnusedLabels",
  "outDir",
  "outFile",
  "rootDir",
  "mapRoot",
  "sourceRoot",
  "declarationDir",
  "tsBuildInfoFile",
] as const;

/** Of the folder's own tsconfig.json all counts but what would change how cells are read, written and told apart. */
export function compilerOptions(folder: string): CompilerOptions {
  const own = configured(folder);
  for (const name of OF_OUTPUT) delete own[name];
  return {
    strict: false,
    ...own,
    ...LENIENT,
    module: ts.ModuleKind.Preserve,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    moduleDetection: ts.ModuleDetectionKind.Force,
    target: "Iterator" in globalThis && "escape" in RegExp ? ts.ScriptTarget.ES2025 : ts.ScriptTarget.ES2024,
    lib: libraries(own.lib),
    types: nodeTypes(folder, own.types ?? []),
    allowImportingTsExtensions: true,
    esModuleInterop: true,
    resolveJsonModule: true,
    allowJs: true,
    checkJs: false,
    skipLibCheck: true,
    ...outputOptions(own.jsx),
  };
}

function outputOptions(jsx: CompilerOptions["jsx"]): CompilerOptions {
  // Node cannot read what these keep.
  const keepsJsx = jsx === ts.JsxEmit.Preserve || jsx === ts.JsxEmit.ReactNative;
  return {
    ...(keepsJsx && { jsx: ts.JsxEmit.ReactJSX }),
    noEmit: false,
    noEmitOnError: false,
    emitDeclarationOnly: false,
    declaration: false,
    declarationMap: false,
    composite: false,
    incremental: false,
    rewriteRelativeImportExtensions: false,
    sourceMap: true,
    inlineSourceMap: false,
    inlineSources: false,
    removeComments: false,
    importHelpers: false,
    noEmitHelpers: false,
    newLine: ts.NewLineKind.LineFeed,
    preserveConstEnums: true,
  };
}

function configured(folder: string): CompilerOptions {
  const path = ts.findConfigFile(folder, existsSync);
  if (path === undefined) return {};
  const { config } = ts.readConfigFile(path, ts.sys.readFile) as { config?: object };
  // Its files are of no interest here, and finding them takes long.
  const host = { ...ts.sys, readDirectory: () => [] };
  const { options } = ts.parseJsonConfigFileContent({ files: [], ...config, include: [] }, host, dirname(path));
  if (dirname(path) === folder) return options;
  const kept: CompilerOptions = {};
  for (const name of [...OF_PROJECT, "pathsBasePath"]) if (options[name] !== undefined) kept[name] = options[name];
  return kept;
}

function libraries(configured: readonly string[] = []): string[] {
  const later = LATER_LIBRARIES.flatMap(([file, object, name]) => (name in object ? [file] : []));
  const ours = ["es2023", ...later, "esnext.disposable", "decorators", "decorators.legacy"].map(
    (name) => `lib.${name}.d.ts`,
  );
  return [...ours, ...configured.filter((name) => /^lib\.(dom|webworker|scripthost)\b/.test(name))];
}

/** Node's types always, from the notebook's own packages or else from this one's. */
function nodeTypes(folder: string, configured: readonly string[]): string[] {
  const others = configured.filter((name) => name !== "node" && name !== "*");
  for (let parent = folder; ; parent = dirname(parent)) {
    if (existsSync(join(parent, "node_modules", "@types", "node", "package.json"))) return ["node", ...others];
    if (parent === dirname(parent)) break;
  }
  return [dirname(createRequire(import.meta.url).resolve("@types/node/package.json")), ...others];
}

/** Run by `node --build-snapshot`: the compiler, and the declarations of the language and of Node, read and bound. Such a script may import nothing but Node's modules. */
const { readFileSync } = require("node:fs") as typeof import("node:fs");
const { createRequire } = require("node:module") as typeof import("node:module");
const { dirname } = require("node:path") as typeof import("node:path");
const { startupSnapshot } = require("node:v8") as typeof import("node:v8");

/** The argument of the script. */
interface Plan {
  /** The compiler's file. */
  typescript: string;
  options: import("typescript").CompilerOptions;
  /** Cells whose check brings in what the first cells need, and compiles the checker's own functions. */
  cells: string[];
  /** What files of packages have for a version. */
  version: string;
}

const plan = JSON.parse(process.argv[2] as string) as Plan;
const ts = load(plan.typescript) as typeof import("typescript");
const files = new Map<string, import("typescript").SourceFile>();
warm();

startupSnapshot.setDeserializeMainFunction(() => {
  Object.assign(globalThis, { prunelabSnapshot: { ts, files } });
  const main = process.argv[1] as string;
  createRequire(main)(main);
});

/** By hand: a module that Node has loaded cannot go into a snapshot. */
function load(path: string): unknown {
  const module = { exports: {} };
  // biome-ignore lint/security/noGlobalEval: it is a package's own file, and Node's other ways do not go into a snapshot
  const run = globalThis.eval(
    `(function (exports, require, module, __filename, __dirname) {${readFileSync(path, "utf8")}\n})`,
  ) as (...params: unknown[]) => void;
  run(module.exports, require, module, path, dirname(path));
  return module.exports;
}

function warm(): void {
  // A folder of no project, and the compiler must not ask for the current one, which it would remember.
  const folder = "/";
  const cell = "/.cell.ts";
  let text = "";
  let version = 0;
  const snapshots = new Map<string, import("typescript").IScriptSnapshot | undefined>();
  const read = (name: string) => {
    if (!snapshots.has(name)) {
      const found = ts.sys.readFile(name);
      snapshots.set(name, found === undefined ? undefined : ts.ScriptSnapshot.fromString(found));
    }
    return snapshots.get(name);
  };
  const host = {
    getCompilationSettings: () => plan.options,
    getScriptFileNames: () => [cell],
    getScriptVersion: (name: string) => (name === cell ? String(version) : plan.version),
    getScriptSnapshot: (name: string) => (name === cell ? ts.ScriptSnapshot.fromString(text) : read(name)),
    getCurrentDirectory: () => folder,
    getDefaultLibFileName: (options: import("typescript").CompilerOptions) => ts.getDefaultLibFilePath(options),
    fileExists: (name: string) => name === cell || ts.sys.fileExists(name),
    readFile: ts.sys.readFile,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
  };
  const registry = (ts.createDocumentRegistry as (...params: unknown[]) => import("typescript").DocumentRegistry)(
    ts.sys.useCaseSensitiveFileNames,
    folder,
    ts.JSDocParsingMode.ParseNone,
  );
  const service = ts.createLanguageService(host, registry);
  for (text of plan.cells) {
    version++;
    service.getSemanticDiagnostics(cell);

    // Not completion: it sorts by the words of a language, whose rules do not go into a snapshot.
    service.getEmitOutput(cell);
  }
  for (const file of service.getProgram()?.getSourceFiles() ?? []) {
    if (file.fileName !== cell) files.set(file.fileName, file);
  }
}

/** The compiler's service over the cells: the newest cell is the program's root, and what it imports comes in by itself. */
import { statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import type {
  CompilerOptions,
  IScriptSnapshot,
  LanguageService,
  LanguageServiceHost,
  ModuleResolutionCache,
  Program,
  ResolvedModuleWithFailedLookupLocations,
  SourceFile,
} from "typescript";
import { compilerOptions } from "./compiler-options.ts";
import { createPackageFiles, isOfPackage, type PackageFiles } from "./package-files.ts";
import { ts } from "./typescript.ts";

export interface CellProgram {
  service: LanguageService;
  options: CompilerOptions;
  /** Makes `text` the newest cell, and returns its file's name. */
  draft(text: string, hasJsx: boolean): string;
  program(): Program;
  sourceFile(name: string): SourceFile;
  /** Keeps a cell for later ones under the name that they import it by. */
  keep(module: string, text: string, hasJsx: boolean, isRoot: boolean): void;
  /** Keeps declarations that are of no module. */
  keepAmbient(text: string): void;
  /** Reads the comments of packages' files too. */
  readComments(names: readonly string[]): void;
}

/** Of the host too, though not of its published type. */
interface Hidden {
  hasInvalidatedResolutions(path: string): boolean;
  /** Without it every file's package.json is read for every program. */
  getModuleResolutionCache(): ModuleResolutionCache;
}

/** Later cells import earlier ones by names that begin with this, which no file has. */
const CELL_SCHEME = "cell:";

export function cellModuleName(number: number): string {
  return `${CELL_SCHEME}${number}`;
}

interface Cell {
  text: string;
  version: number;
}

/** Of all programs: what the compiler has read goes by its version. */
let version = 0;

export function createCellProgram(folder: string, files: PackageFiles = createPackageFiles(folder)): CellProgram {
  const options = compilerOptions(folder);
  const cells = new Map<string, Cell>();
  const fileNames = new Map<string, string>();
  const roots: string[] = [];
  let newest = join(folder, ".cell.ts");
  let isNew = false;
  const cache = ts.createModuleResolutionCache(folder, (name) => name, options);
  const resolve = createResolver(options, cache, (module) => fileNames.get(module));

  const host: LanguageServiceHost & Hidden = {
    getCompilationSettings: () => options,
    getScriptFileNames: () => [newest, ...roots],
    getScriptVersion: (name) => cells.get(name)?.version.toString() ?? files.version(name) ?? fileVersion(name),
    getScriptSnapshot: (name) => {
      const cell = cells.get(name);
      return cell ? ts.ScriptSnapshot.fromString(cell.text) : (files.text(name) ?? readSnapshot(name));
    },
    getCurrentDirectory: () => folder,
    getDefaultLibFileName: (settings) => ts.getDefaultLibFilePath(settings),
    fileExists: (name) => cells.has(name) || ts.sys.fileExists(name),
    readFile: (name, encoding) => cells.get(name)?.text ?? ts.sys.readFile(name, encoding),
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    realpath: (name) => (cells.has(name) || !ts.sys.realpath ? name : ts.sys.realpath(name)),
    useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
    resolveModuleNameLiterals: (literals, containing) => literals.map(({ text }) => resolve(text, containing)),
    // Files of the user's own come and go.
    hasInvalidatedResolutions: (path) => isNew && !isOfPackage(path) && !cells.has(path),
    getModuleResolutionCache: () => cache,
  };
  const readSnapshot = snapshotReader();
  const service = ts.createLanguageService(host, files.registry);

  return {
    service,
    options,
    draft: (text, hasJsx) => {
      newest = join(folder, hasJsx ? ".cell.tsx" : ".cell.ts");
      // A new version even of the same text: a module that was missing may be there now.
      cells.set(newest, { text, version: ++version });
      isNew = true;
      service.getProgram();
      isNew = false;
      return newest;
    },
    program: () => service.getProgram() as Program,
    sourceFile: (name) => service.getProgram()?.getSourceFile(name) as SourceFile,
    keep: (module, text, hasJsx, isRoot) => {
      const name = join(folder, `.${module.replace(":", "-")}.ts${hasJsx ? "x" : ""}`);
      cells.set(name, { text, version: ++version });
      fileNames.set(module, name);
      if (isRoot) roots.push(name);
    },
    keepAmbient: (text) => {
      const name = join(folder, `.ambient-${++version}.d.ts`);
      cells.set(name, { text, version });
      roots.push(name);
    },
    readComments: files.readComments,
  };
}

/** The service asks for every file's text for every program. */
function snapshotReader(): (name: string) => IScriptSnapshot | undefined {
  const read = new Map<string, { version: string; snapshot: IScriptSnapshot }>();
  return (name) => {
    const version = fileVersion(name);
    const known = read.get(name);
    if (known?.version === version) return known.snapshot;
    const text = ts.sys.readFile(name);
    if (text === undefined) return undefined;
    const snapshot = ts.ScriptSnapshot.fromString(text);
    read.set(name, { version, snapshot });
    return snapshot;
  };
}

/** The user's own files are looked at each time. */
function fileVersion(name: string): string {
  const found = statSync(name, { throwIfNoEntry: false });
  return found ? `${found.mtimeMs}-${found.size}` : "0";
}

const NOT_A_FILE: ResolvedModuleWithFailedLookupLocations = { resolvedModule: undefined };

type Resolve = (specifier: string, containing: string) => ResolvedModuleWithFailedLookupLocations;

/** Finds modules as a bundler does; between files of packages each only once. */
function createResolver(
  options: CompilerOptions,
  cache: ModuleResolutionCache,
  cellFile: (module: string) => string | undefined,
): Resolve {
  const found = new Map<string, ResolvedModuleWithFailedLookupLocations>();
  const lookUp = (specifier: string, containing: string, shared?: ModuleResolutionCache) =>
    ts.resolveModuleName(specifier, containing, options, ts.sys, shared);
  return (specifier, containing) => {
    if (specifier.startsWith(CELL_SCHEME)) {
      const resolvedFileName = cellFile(specifier) as string;
      const extension = resolvedFileName.endsWith("x") ? ts.Extension.Tsx : ts.Extension.Ts;
      return { resolvedModule: { resolvedFileName, extension } } as never;
    }
    // The compiler finds Node's modules by their declarations, and looking for files of their names takes long.
    if (isBuiltin(specifier)) return NOT_A_FILE;
    if (isOfPackage(containing)) {
      const key = `${containing}\0${specifier}`;
      const known = found.get(key) ?? lookUp(specifier, containing, cache);
      found.set(key, known);
      return known;
    }
    const result = lookUp(specifier, containing);
    // Every notebook may import tslab, whose names this kernel has.
    if (!result.resolvedModule && specifier === "tslab") return lookUp(specifier, import.meta.filename);
    return result;
  };
}

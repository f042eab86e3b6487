/** tslab's converter, with the options that Node's modules need, and with file watching that costs nothing. */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { CompletionInfo, Program, QuickInfo, SourceFile, System } from "typescript";
import { cellGlobals } from "./cell-globals.ts";
import { requireHere, ts } from "./typescript.ts";

/** `line` and `character` count from 0. */
interface Position {
  offset: number;
  line: number;
  character: number;
}

export interface Diagnostic {
  start: Position;
  end: Position;
  messageText: string;
  code: number;
  /** Set where the error is in a file that the cell imports. */
  fileName?: string;
}

/** The part of tslab's converter that is used; `previous` holds the declarations of earlier cells. */
interface TslabConverter {
  convert(previous: string, source: string): { diagnostics: Diagnostic[]; declOutput?: string };
  inspect(previous: string, source: string, position: number): QuickInfo | undefined;
  complete(
    previous: string,
    source: string,
    position: number,
  ): { start: number; end: number; candidates: string[]; original?: CompletionInfo };
  close(): void;
}

export interface CellConverter extends TslabConverter {
  /** The program of the latest call. */
  program(): Program;
}

type CreateHost = (files: string[], options: object, system: System, ...rest: unknown[]) => unknown;
type WatchCallback = (path: string, kind: number) => void;

/** The two files that tslab makes up in memory. */
const VIRTUAL_FILES: ReadonlySet<string> = new Set(["__tslab__.ts", "__prev__.d.ts"]);
/** tslab puts this before the text of a cell. */
export const CELL_PREFIX = "export {};\n";
export const CELL_FILE = "__tslab__.ts";

/**
 * tslab fixes the compiler's options, with a module resolution that knows no `exports`. The compiler's exports cannot be
 * changed, so tslab is given a copy of them whose `createWatchCompilerHost` sets what is needed here.
 */
export function createCellConverter(): CellConverter {
  const refreshers: (() => void)[] = [];
  let builder: Builder | undefined;
  let isFirstLook = false;
  const createHost = (ts as unknown as { createWatchCompilerHost: CreateHost }).createWatchCompilerHost;
  host = (files, options, system, ...rest) => {
    refreshers.push(watchLocalFiles(system));
    const roots = [...files, changeFiles(system)];
    return observed(createHost(roots, { ...options, ...compilerOptions() }, system, ...rest), (made) => {
      builder = made;
      return withLocalsHiddenOnce(made, () => {
        const isHidden = isFirstLook;
        isFirstLook = false;
        return isHidden;
      });
    });
  };
  const converter = loadTslab().createConverter();
  const convertOnce = (previous: string, source: string) => {
    isFirstLook = true;
    try {
      return converter.convert(previous, source + exportAll(source));
    } finally {
      isFirstLook = false;
    }
  };
  const refresh = () => {
    for (const look of refreshers) look();
  };
  const fresh = () => {
    refresh();
    return converter;
  };
  return {
    convert: (previous, source) => {
      refresh();
      return convertOnce(previous, source);
    },
    inspect: (previous, source, position) => fresh().inspect(previous, source, position),
    complete: (previous, source, position) => fresh().complete(previous, source, position),
    program: () => (builder as Builder).getProgram(),
    close: () => converter.close(),
  };
}

interface Builder {
  getProgram(): Program;
  getSourceFile(name: string): (SourceFile & { locals?: unknown }) | undefined;
}

/**
 * tslab compiles a cell that declares something twice: first to learn the names, then with an export of them all. Here the
 * cell comes with that export, and the first look at its names, through this builder, finds none.
 */
function withLocalsHiddenOnce(builder: Builder, isHidden: () => boolean): Builder {
  const getSourceFile = (name: string) => {
    const file = builder.getSourceFile(name);
    if (file && name.endsWith(`/${CELL_FILE}`) && isHidden()) {
      const { locals } = file;
      const restore = () => Object.defineProperty(file, "locals", { value: locals, writable: true, enumerable: true });
      Object.defineProperty(file, "locals", { get: () => void restore(), configurable: true });
    }
    return file;
  };
  return Object.create(builder, { getSourceFile: { value: getSourceFile } }) as Builder;
}

/** An export of every name that a cell declares, as tslab would put it behind the cell. */
function exportAll(source: string): string {
  const file = ts.createSourceFile("cell.ts", CELL_PREFIX + source, ts.ScriptTarget.Latest, true);
  (ts as unknown as { bindSourceFile(file: SourceFile, options: object): void }).bindSourceFile(file, {});
  const { locals } = file as unknown as { locals?: Map<string, unknown> };
  return locals && locals.size > 0 ? `\nexport {${[...locals.keys()].join(", ")}}` : "";
}

/** tslab sets the host's `afterProgramCreate`; this hears of each program first, and may put another in its place. */
function observed(host: unknown, onProgram: (builder: Builder) => Builder): unknown {
  let original: (builder: Builder) => void = () => {};
  Object.defineProperty(host, "afterProgramCreate", {
    get: () => (builder: Builder) => original(onProgram(builder)),
    set: (callback: typeof original) => {
      original = callback;
    },
  });
  return host;
}

let host: CreateHost;
let tslab: { createConverter(): TslabConverter } | undefined;

function loadTslab(): { createConverter(): TslabConverter } {
  if (tslab) return tslab;
  const copy = Object.defineProperties({} as typeof ts, {
    ...Object.getOwnPropertyDescriptors(ts),
    createWatchCompilerHost: { value: (...params: Parameters<CreateHost>) => host(...params), enumerable: true },
  });
  const cached = requireHere.cache[requireHere.resolve("@tslab/typescript-for-tslab")];
  if (cached) cached.exports = copy;
  tslab = requireHere("tslab/dist/converter.js") as { createConverter(): TslabConverter };
  if (cached) cached.exports = ts;
  return tslab;
}

/**
 * Puts the cells' own globals into a file in memory; unlike declarations in each cell they are then read once. Hides the
 * comments of packages' declarations, which take a third of the parser's time and of its memory; comments.ts finds them.
 */
function changeFiles(system: System): string {
  const path = join(process.cwd(), "__prunelab_globals__.d.ts");
  const { readFile, fileExists } = system;
  system.readFile = (name, encoding) => {
    if (name === path) return cellGlobals;
    const text = readFile(name, encoding);
    return hasHiddenComments(name) ? text?.replace(/^([ \t]*)\/\*\*(?=\s)/gm, "$1/* ") : text;
  };
  system.fileExists = (name) => name === path || fileExists(name);
  return path;
}

/** Whether the compiler sees the file of that name without its documentation. */
export function hasHiddenComments(name: string): boolean {
  return name.includes("/node_modules/") && /\.d\.[cm]?ts$/.test(name);
}

function compilerOptions(): object {
  return {
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    lib: ["lib.esnext.d.ts"],
    ...nodeTypes(),
  };
}

/**
 * Hundreds of declaration files need no watching, and the user's own few are looked at before each check: a watcher would
 * tell of an edit only after the cell that was run next. Returns the function that looks.
 */
function watchLocalFiles(system: System): () => void {
  const original = system.watchFile?.bind(system);
  const watched = new Map<string, { callback: WatchCallback; modifiedMs: number | undefined }>();
  const modified = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  system.watchDirectory = () => ({ close: () => {} });
  system.watchFile = (path, callback, ...rest) => {
    if (VIRTUAL_FILES.has(basename(path)) && original) return original(path, callback, ...rest);
    if (path.includes("/node_modules/")) return { close: () => {} };
    watched.set(path, { callback: callback as WatchCallback, modifiedMs: modified(path) });
    return { close: () => watched.delete(path) };
  };
  return () => {
    for (const [path, file] of [...watched]) {
      const now = modified(path);
      if (now === file.modifiedMs) continue;
      file.modifiedMs = now;
      file.callback(path, now === undefined ? ts.FileWatcherEventKind.Deleted : ts.FileWatcherEventKind.Changed);
    }
  };
}

/** Node's types, where no folder above the notebook has them: tslab looks only in its own for another copy. */
function nodeTypes(): object {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "node_modules", "@types", "node", "package.json"))) return {};
    if (folder === dirname(folder)) break;
  }
  return { typeRoots: [dirname(dirname(requireHere.resolve("@types/node/package.json")))], types: ["node"] };
}

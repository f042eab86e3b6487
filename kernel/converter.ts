/** tslab's converter, with the options that Node's modules need, and with file watching that costs nothing. */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { CompletionInfo, Program, QuickInfo, System } from "typescript";
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

type CreateHost = (files: unknown, options: object, system: System, ...rest: unknown[]) => unknown;
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
  let builder: { getProgram(): Program } | undefined;
  const createHost = (ts as unknown as { createWatchCompilerHost: CreateHost }).createWatchCompilerHost;
  host = (files, options, system, ...rest) => {
    refreshers.push(watchLocalFiles(system));
    return observed(createHost(files, { ...options, ...compilerOptions() }, system, ...rest), (made) => {
      builder = made;
    });
  };
  const converter = loadTslab().createConverter();
  const types = nodeTypes();
  const fresh = () => {
    for (const refresh of refreshers) refresh();
    return converter;
  };
  return {
    convert: (previous, source) => fresh().convert(types + previous, source),
    inspect: (previous, source, position) => fresh().inspect(types + previous, source, position),
    complete: (previous, source, position) => fresh().complete(types + previous, source, position),
    program: () => (builder as { getProgram(): Program }).getProgram(),
    close: () => converter.close(),
  };
}

/** tslab sets the host's `afterProgramCreate`; this hears of each program beside it. */
function observed(host: unknown, onProgram: (builder: { getProgram(): Program }) => void): unknown {
  let original: (builder: { getProgram(): Program }) => void = () => {};
  Object.defineProperty(host, "afterProgramCreate", {
    get: () => (builder: { getProgram(): Program }) => {
      onProgram(builder);
      original(builder);
    },
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

function compilerOptions(): object {
  return {
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    lib: ["lib.esnext.d.ts"],
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

/** An import of Node's types where no folder above the notebook has them: tslab looks only in its own for another copy. */
function nodeTypes(): string {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "node_modules", "@types", "node", "package.json"))) return "";
    if (folder === dirname(folder)) break;
  }
  const types = dirname(requireHere.resolve("@types/node/package.json"));
  return `import type {} from ${JSON.stringify(join(types, "index.d.ts"))};\n`;
}

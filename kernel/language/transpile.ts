/** TypeScript cell → JavaScript for V8's REPL mode: types go, imports become awaited calls, the last value is handed over. */
import type { CompilerOptions, CustomTransformers, Program, SourceFile } from "typescript";
import type { Script } from "../protocol/worker-channel.ts";
import { parseCell } from "./cell-source.ts";
import { type CellModule, cellModule } from "./cell-text.ts";
import { compilerOptions } from "./compiler-options.ts";
import { MEANING, mentionedIn } from "./declarations.ts";
import { moveUp } from "./source-map.ts";
import { cellTransformers } from "./transform.ts";
import { ts } from "./typescript.ts";

interface Cell {
  /** The name in stack traces. */
  file: string;
  source: string;
  module: CellModule;
}

/** Writes a cell of a program that has checked it, and so knows which imports are of types. */
export function emitCell(program: Program, sourceFile: SourceFile, { file, source, module }: Cell): Script {
  return write(program, sourceFile, { file, source, module }, () => true);
}

/** Writes a cell that goes unchecked. */
export function transpileCell(source: string, file: string, folder: string = process.cwd()): Script {
  const parsed = parseCell(source);
  const module = cellModule(parsed, new Map());
  const options = uncheckedOptions(folder);
  const name = parsed.hasJsx ? "/cell.tsx" : "/cell.ts";
  const sourceFile = ts.createSourceFile(name, module.text, ts.ScriptTarget.Latest);
  const program = ts.createProgram([name], options, {
    getSourceFile: (path) => (path === name ? sourceFile : undefined),
    getDefaultLibFileName: () => "lib.d.ts",
    getCurrentDirectory: () => "",
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    fileExists: (path) => path === name,
    readFile: () => undefined,
    writeFile: () => {},
  });
  // What is used as a type alone is one, as far as one file can tell; what is not used may be a value for a later cell.
  const mentioned = mentionedIn(parsed.file);
  const isValue = (local: string) => ((mentioned.get(local) ?? MEANING.value) & MEANING.value) !== 0;
  return write(program, sourceFile, { file, source, module }, isValue);
}

function write(
  program: Program,
  sourceFile: SourceFile,
  { file, source, module }: Cell,
  isValue: (name: string) => boolean,
): Script {
  const transformers: CustomTransformers = cellTransformers(module, isValue);
  const output = { code: "", map: "" };
  program.emit(
    sourceFile,
    (name, text) => {
      if (name.endsWith(".map")) output.map = text;
      else output.code = text.replace(/(^|\n)\/\/# sourceMappingURL=.*\s*$/, "$1");
    },
    undefined,
    false,
    transformers,
  );
  const map = module.shift > 0 ? moveUp(output.map) : output.map;
  // stack.ts knows of the line put before the code.
  return { file, source, map, code: `"use strict";\n${output.code}\n//# sourceURL=${file}` };
}

let unchecked: { folder: string; options: CompilerOptions } | undefined;

function uncheckedOptions(folder: string): CompilerOptions {
  if (unchecked?.folder === folder) return unchecked.options;
  const options = {
    ...compilerOptions(folder),
    noLib: true,
    lib: [],
    types: [],
    noResolve: true,
    isolatedModules: true,
  };
  unchecked = { folder, options };
  return options;
}

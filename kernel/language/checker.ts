/** Knows the cells of a notebook: checks a new one, completes and documents names, and writes a cell's JavaScript. */
import type { CompilerOptions, CompletionInfo, QuickInfo, SignatureHelpItems } from "typescript";
import type { Script } from "../protocol/worker-channel.ts";
import { ownNames } from "./cell-globals.ts";
import { type ParsedCell, parseCell } from "./cell-source.ts";
import { type CellModule, cellModule, type Known } from "./cell-text.ts";
import { MEANING } from "./declarations.ts";
import { type Diagnostic, hintsFor, isOfCell, shown } from "./diagnostics.ts";
import { createPackageFiles } from "./package-files.ts";
import { type CellProgram, cellModuleName, createCellProgram } from "./program.ts";
import { emitCell } from "./transpile.ts";
import { ts } from "./typescript.ts";

export interface Checker {
  /** The errors of a cell; without any, `script` writes it and `commit` makes its declarations known to the later ones. */
  check(source: string): { diagnostics: Diagnostic[]; script(file: string): Script; commit(): void };
  /** Makes the declarations of a cell known that is not checked. */
  learn(source: string): void;
  /** Puts a cell that is being written before the compiler; positions of its answers are those in `source`. */
  look(source: string, prefix?: string): Look;
  /** The names that earlier cells declared, with what they are. */
  names(): Map<string, string>;
  /** Forgets what the cells declared. */
  reset(): void;
}

export interface Look {
  complete(position: number): CompletionInfo | undefined;
  /** The type of what completion offers. */
  signature(symbol: import("typescript").Symbol): string;
  inspect(position: number): QuickInfo | undefined;
  signatures(position: number): SignatureHelpItems | undefined;
}

/** `declare module "m"` of a module that is not there declares one, which only a file of its own can do. */
const UNKNOWN_AUGMENTED = 2664;

/** So many names of earlier cells come in for a completion, with their types. */
const MAX_COMPLETED_NAMES = 40;

export function createChecker(folder: string = process.cwd()): Checker {
  const files = createPackageFiles(folder);
  let program = createCellProgram(folder, files);
  let known = initiallyKnown();
  let count = 0;

  function learn(module: CellModule, hasJsx: boolean): void {
    const name = cellModuleName(++count);
    program.keep(name, module.text, hasJsx, module.isAugmenting);
    for (const [text, { meaning, isMutable, kind }] of module.declared) {
      const origin = { module: name, isMutable, kind };
      known.set(text, {
        ...known.get(text),
        ...((meaning & MEANING.value) !== 0 && { value: origin }),
        ...((meaning & MEANING.type) !== 0 && { type: origin }),
        ...((meaning & MEANING.namespace) !== 0 && { namespace: origin }),
      });
    }
  }

  return {
    check: (source) => {
      const parsed = parseCell(source);
      const module = cellModule(parsed, known, parsed.hasJsx ? jsxNames(source, program.options) : []);
      const name = program.draft(module.text, parsed.hasJsx);
      const found = parsed.errors.length > 0 ? [] : semantic(program, name, module, source);
      const diagnostics = [
        ...parsed.errors.map((error) => shown(error, source)),
        ...found.filter(({ code }) => code !== UNKNOWN_AUGMENTED),
      ];
      return {
        diagnostics,
        script: (file) => emitCell(program.program(), program.sourceFile(name), { file, source, module }),
        commit: () => {
          for (const { code, start } of found) {
            if (code === UNKNOWN_AUGMENTED) program.keepAmbient(declarationAt(parsed, start.offset));
          }
          learn(module, parsed.hasJsx);
        },
      };
    },
    learn: (source) => {
      const parsed = parseCell(source.replace("@ts-nocheck", "@ts"));
      const module = cellModule(parsed, known);
      const name = program.draft(module.text, parsed.hasJsx);
      const hasErrors = parsed.errors.length > 0 || semantic(program, name, module, source).length > 0;
      learn(hasErrors ? { ...module, text: untyped(module) } : module, parsed.hasJsx);
    },
    look: (source, prefix) => {
      const parsed: ParsedCell = parseCell(source);
      const also = prefix === undefined ? [] : [...known.keys()].filter((name) => startsWith(name, prefix));
      const module = cellModule({ ...parsed, isObject: false }, known, also.slice(0, MAX_COMPLETED_NAMES));
      return look(program, program.draft(module.text, parsed.hasJsx), module);
    },
    names: () =>
      new Map([...known].map(([name, { value, type, namespace }]) => [name, (value ?? type ?? namespace)?.kind ?? ""])),
    reset: () => {
      program = createCellProgram(folder, files);
      known = initiallyKnown();
    },
  };
}

/** What every cell finds is as if an earlier one had declared it. */
function initiallyKnown(): Map<string, Known> {
  const { module, values, types } = ownNames();
  const origin = { module, isMutable: false };
  return new Map<string, Known>([
    ...types.map((name) => [name, { type: { ...origin, kind: "type" } }] as const),
    ...values.map((name) => [name, { value: { ...origin, kind: "const", isGlobal: true } }] as const),
  ]);
}

/** What JSX calls without naming it. */
function jsxNames(source: string, { jsx, jsxFactory, jsxFragmentFactory }: CompilerOptions): string[] {
  const named = [...source.matchAll(/@jsx(?:Frag)?\s+([\w$]+)/g)].map(([, name]) => name as string);
  const configured = [jsxFactory, jsxFragmentFactory].flatMap((name) => name?.split(".")[0] ?? []);
  return [...named, ...configured, ...(jsx === ts.JsxEmit.React ? ["React"] : [])];
}

function declarationAt({ text, file }: ParsedCell, offset: number): string {
  const statement = file.statements.find(({ pos, end }) => pos <= offset && offset < end);
  return statement ? text.slice(statement.getStart(), statement.end) : "";
}

/** The names of a cell whose types are of no use. */
function untyped({ declared }: CellModule): string {
  const lines = [...declared].flatMap(([name, { meaning }]) => [
    ...((meaning & MEANING.value) !== 0 ? [`export declare let ${name}: any;`] : []),
    ...((meaning & MEANING.type) !== 0 ? [`export type ${name} = any;`] : []),
  ]);
  return `${lines.join("\n")}\nexport {};`;
}

function semantic(program: CellProgram, name: string, module: CellModule, source: string): Diagnostic[] {
  const found = program.service.getSemanticDiagnostics(name).filter((each) => isOfCell(each, module));
  return found.map((each) => {
    const diagnostic = shown(each, source, module);
    return { ...diagnostic, hints: hintsFor(program, name, each) };
  });
}

function look({ service, program, sourceFile, readComments }: CellProgram, name: string, module: CellModule): Look {
  const inner = (position: number) => (position >= module.start ? position + module.shift : position);
  const outer = <Span extends { start: number; length: number }>(span: Span): Span => ({
    ...span,
    start: span.start > module.start ? Math.max(module.start, span.start - module.shift) : span.start,
  });
  return {
    complete: (position) => {
      const preferences = { includeSymbol: true, includeCompletionsWithInsertText: false };
      const found = service.getCompletionsAtPosition(name, inner(position), preferences);
      const span = found?.optionalReplacementSpan;
      return found && { ...found, ...(span && { optionalReplacementSpan: outer(span) }) };
    },
    signature: (symbol) => {
      const types = program().getTypeChecker();
      const file = sourceFile(name);
      const target = (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? types.getAliasedSymbol(symbol) : symbol;
      return types.typeToString(types.getTypeOfSymbolAtLocation(target, file), file);
    },
    inspect: (position) => {
      const at = inner(position);
      readComments((service.getDefinitionAtPosition(name, at) ?? []).map(({ fileName }) => fileName));
      return service.getQuickInfoAtPosition(name, at);
    },
    signatures: (position) => {
      const found = service.getSignatureHelpItems(name, inner(position), undefined);
      return found && { ...found, applicableSpan: outer(found.applicableSpan) };
    },
  };
}

function startsWith(name: string, prefix: string): boolean {
  return name.toLowerCase().startsWith(prefix.toLowerCase());
}

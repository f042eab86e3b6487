/** Writes a cell as a module: what it mentions of earlier cells comes in before it, what it declares goes out behind it. */
import { GLOBALS_TYPE } from "./cell-globals.ts";
import type { ParsedCell } from "./cell-source.ts";
import { type Declared, declaredIn, isAugmentation, MEANING, mentionedIn } from "./declarations.ts";
import { ts } from "./typescript.ts";

/** Where a name has one of its meanings from. */
export interface Origin {
  module: string;
  isMutable: boolean;
  kind: string;
  /** One of what every cell finds. */
  isGlobal?: boolean;
}

/** The latest declaration of a name, for each of its meanings. */
export interface Known {
  value?: Origin;
  type?: Origin;
  namespace?: Origin;
}

export interface CellModule {
  text: string;
  /** The cell's own text is from here on `shift` further back. */
  start: number;
  shift: number;
  /** The cell's own text ends here. */
  end: number;
  declared: ReadonlyMap<string, Declared>;
  /** It changes what other cells see, by `declare module` or `declare global`. */
  isAugmenting: boolean;
}

/** `also` names what is to come in although the cell does not mention it. */
export function cellModule(
  { text, file, isObject }: ParsedCell,
  known: ReadonlyMap<string, Known>,
  also: Iterable<string> = [],
): CellModule {
  const declared = declaredIn(file);
  const mentioned = mentionedIn(file);
  for (const name of also) mentioned.set(name, MEANING.value | MEANING.type | MEANING.namespace);
  const imports = [...mentioned].flatMap(([name, meaning]) => {
    const origins = known.get(name);
    return origins ? importsOf(name, meaning & ~(declared.get(name)?.meaning ?? 0), origins) : [];
  });
  const start = frontPosition(text);
  const line = imports.join("") + (isObject ? "(" : "");
  // The columns of the line that is broken stay.
  const column = start - (text.lastIndexOf("\n", start - 1) + 1);
  const front = line === "" ? "" : `${line}\n${" ".repeat(column)}`;
  const names = [...declared.keys()].join(", ");
  return {
    text: `${text.slice(0, start)}${front}${text.slice(start)}\n${isObject ? ")" : ""};export { ${names} };`,
    start,
    shift: front.length,
    end: text.length + front.length,
    declared,
    isAugmenting: file.statements.some(isAugmentation),
  };
}

/** An import where nothing is assigned to it; else a declaration, since imports cannot be assigned. */
function importsOf(name: string, meaning: number, { value, type, namespace }: Known): string[] {
  const lines: string[] = [];
  const typed = (meaning & MEANING.type) !== 0 ? (type ?? namespace) : undefined;
  const spaced = (meaning & MEANING.namespace) !== 0 ? (namespace ?? typed) : typed;
  const other = typed ?? spaced;
  let imported = other;
  if (value && (meaning & MEANING.value) !== 0) {
    if (value.isGlobal)
      lines.push(`declare const { ${name} }: import(${JSON.stringify(value.module)}).${GLOBALS_TYPE};`);
    else if (value.isMutable || (other && other.module !== value.module)) {
      const keyword = value.isMutable ? "let" : "const";
      lines.push(`declare ${keyword} ${name}: typeof import(${JSON.stringify(value.module)}).${name};`);
    } else imported = value;
  }
  if (imported) lines.push(`import { ${name} } from ${JSON.stringify(imported.module)};`);
  return lines;
}

/** Behind the comments that must come first in a file, before those that belong to the first statement. */
function frontPosition(text: string): number {
  const comments = ts.getLeadingCommentRanges(text, 0) ?? [];
  const last = comments.findLast(({ pos, end }) => /^\/\/\/|@jsx|@ts-(no)?check/.test(text.slice(pos, end)));
  if (last?.kind !== ts.SyntaxKind.SingleLineCommentTrivia) return last?.end ?? 0;
  return text.indexOf("\n", last.end) + 1;
}

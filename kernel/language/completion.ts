/** Completes a cell from its types, with what each name is and its signature. */
import type { CompletionEntry } from "typescript";
import { toCodePoints, toUnits } from "../protocol/code-points.ts";
import type { Checker } from "./checker.ts";
import { completeImport } from "./import-completion.ts";
import type { Completion, Completions } from "./language-messages.ts";

const MAX_ITEMS = 500;
const MAX_SIGNATURES = 60;
const MAX_SIGNATURE_CHARACTERS = 300;

export function completeCell(checker: Checker, source: string, position: number): Completions {
  const at = toUnits(source, position);
  const imported = completeImport(source, at, process.cwd());
  if (imported) return imported;
  const typed = /[\p{ID_Continue}$]*$/u.exec(source.slice(0, at))?.[0] ?? "";
  const start = at - typed.length;
  const isMember = /[.#]\s*$/.test(source.slice(0, start));
  const look = checker.look(source, isMember || typed === "" ? undefined : typed);
  const found = look.complete(at);
  const entries = new Map<string, CompletionEntry | undefined>(found?.entries.map((entry) => [entry.name, entry]));
  const kinds = checker.names();
  // Without a letter typed not all names of earlier cells came in, but they can be named.
  if (found?.isGlobalCompletion) for (const name of kinds.keys()) if (!entries.has(name)) entries.set(name, undefined);
  const all = [...entries.keys()];
  const fitting = all.filter((name) => name.toLowerCase().startsWith(typed.toLowerCase()));
  const names = (fitting.length > 0 ? fitting : all).slice(0, MAX_ITEMS);
  const items = names.map((text, i): Completion => {
    const entry = entries.get(text);
    const symbol = i < MAX_SIGNATURES ? entry?.symbol : undefined;
    const signature = symbol ? look.signature(symbol) : "";
    const kind =
      entry?.kind && (entry.kind as string) !== "alias" ? entry.kind : (kinds.get(text) ?? entry?.kind ?? "");
    return {
      text,
      kind,
      signature:
        signature.length > MAX_SIGNATURE_CHARACTERS ? `${signature.slice(0, MAX_SIGNATURE_CHARACTERS)}…` : signature,
    };
  });
  return { start: toCodePoints(source, start), end: toCodePoints(source, at), items };
}

/** Parsers of options that several commands share. */
import { PrunelabError } from "../../src/errors.ts";
import type { Parser } from "./command.ts";

/** A limit on documents: a count from 1 on, or a share of them below 1; null for `all`. */
export function parseLimit(text: string, flag = "--limit"): number | null {
  if (text === "all") return null;
  const limit = Number(text);
  if (!(limit > 0) || text.trim() === "" || (limit >= 1 && !Number.isSafeInteger(limit))) {
    throw new PrunelabError(`invalid ${flag}; a count, a share below 1, or all: ${text}`);
  }
  return limit;
}

/** A whole number from `least` on. */
export function wholeFrom(least: number): Parser<number> {
  return (text, flag) => {
    if (!/^\d+$/.test(text) || Number(text) < least || !Number.isSafeInteger(Number(text))) {
      throw new PrunelabError(`invalid ${flag}; a whole number${least > 0 ? ` from ${least} on` : ""}: ${text}`);
    }
    return Number(text);
  };
}

export const parseWhole: Parser<number> = wholeFrom(0);

/** A share of the weights. */
export function parseSparsity(text: string, flag = "--sparsity"): number {
  const sparsity = Number(text);
  if (text.trim() === "" || !(sparsity >= 0 && sparsity < 1)) {
    throw new PrunelabError(`invalid ${flag}; a number in [0, 1): ${text}`);
  }
  return sparsity;
}

/** One of some words. */
export function oneOf<T extends string>(words: readonly T[]): Parser<T> {
  return (text, flag) => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new PrunelabError(`invalid ${flag}; choose one of ${words.join(", ")}: ${text}`);
    return found;
  };
}

/** What was typed, as one would type it again in a shell. */
export function commandLine(): string {
  const quoted = (word: string) => (/^[\w./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  return ["prunelab", ...process.argv.slice(2)].map(quoted).join(" ");
}

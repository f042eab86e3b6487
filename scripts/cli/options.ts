/** Values of command-line options that several commands share. */
import { PrunelabError } from "../../src/errors.ts";

/** A limit on documents: a count from 1 on, or a share of them below 1; null for `all`. */
export function parseLimit(text: string): number | null {
  if (text === "all") return null;
  const limit = Number(text);
  if (!(limit > 0) || text.trim() === "" || (limit >= 1 && !Number.isInteger(limit))) {
    throw new PrunelabError(`invalid --limit; a count, a share below 1, or all: ${text}`);
  }
  return limit;
}

/** A whole number from `least` on. */
export function parseWhole(option: string, text: string, least = 0): number {
  if (!/^\d+$/.test(text) || Number(text) < least) {
    throw new PrunelabError(`invalid ${option}; a whole number${least > 0 ? ` from ${least} on` : ""}: ${text}`);
  }
  return Number(text);
}

/** A number, left for the library to judge; words are told apart from numbers here. */
export function parseSparsity(text: string): number {
  const sparsity = Number(text);
  if (text.trim() === "" || Number.isNaN(sparsity)) {
    throw new PrunelabError(`invalid --sparsity; a number in [0, 1): ${text}`);
  }
  return sparsity;
}

/** Checks a whole number that a caller gives. */
import { PrunelabError } from "../errors.ts";

/** @throws PrunelabError if it is not an integer of at least `least`. */
export function checkInteger(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new PrunelabError(`invalid ${name}: ${value}; choose an integer of at least ${least}`);
}

/** Checked access to the fields of a row from outside. */
import { PrunelabError } from "../errors.ts";
import type { Row } from "./source.ts";

/** A field that must be a string. */
export function textField(row: Row, name: string): string {
  const value = row[name];
  if (typeof value !== "string") throw wrongField(name, "a string", value);
  return value;
}

/** A field that must be a list of strings, of `count` of them if given, else of one or more. */
export function textsField(row: Row, name: string, count?: number): readonly string[] {
  const value = row[name];
  const isTexts = Array.isArray(value) && value.every((item) => typeof item === "string");
  if (!isTexts || (count === undefined ? value.length === 0 : value.length !== count)) {
    throw wrongField(name, `a list of ${count === undefined ? "" : `${count} `}strings`, value);
  }
  return value;
}

/** A field that must be an integer from `least` to `most`. */
export function integerField(row: Row, name: string, least: number, most: number): number {
  const value = row[name];
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw wrongField(name, `an integer from ${least} to ${most}`, value);
  }
  return value;
}

/** A field that must be an object. */
export function objectField(row: Row, name: string): Row {
  const value = row[name];
  if (!isRow(value)) throw wrongField(name, "an object", value);
  return value;
}

/** Whether a value is a plain object, as a row must be. */
export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The error for a field of another kind than it must be. */
export function wrongField(name: string, wanted: string, value: unknown): PrunelabError {
  // JSON has no NaN, which a text that should be a number becomes.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  const shown = text ?? "missing";
  return new PrunelabError(
    `field "${name}" must be ${wanted}: ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown}`,
  );
}

/** Runs what reads a row, and adds the row's place to its errors. */
export function atPlace<Value>(place: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PrunelabError)) throw error;
    throw new PrunelabError(`malformed row: ${place}: ${error.message}; fix the row or get the file again`, {
      cause: error,
    });
  }
}

/** Reads a JSON object from a file. */
import { readFile, stat } from "node:fs/promises";
import { messageOf, PrunelabError } from "../errors.ts";
import { asReadError } from "./read-error.ts";

/** tokenizer.json of Gemma 3 has 33 MB; a string of V8 holds 512 MB. */
const maxBytes = 400_000_000;

/**
 * The object that a JSON file holds.
 *
 * @throws PrunelabError when the file is missing, too large, not JSON, or holds something other than an object.
 */
export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new PrunelabError(`too large for JSON: ${path}: ${size.toLocaleString("en-US")} bytes; check the path`);
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    throw asReadError(error, path);
  }
  return parseJsonObject(text, path);
}

/** The object that `text` holds; `where` names its source in errors. */
export function parseJsonObject(text: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PrunelabError(`not valid JSON: ${where}: ${messageOf(error)}; repair it or download it again`, {
      cause: error,
    });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PrunelabError(`not a JSON object: ${where}; repair it or download it again`);
  }
  return value as Record<string, unknown>;
}

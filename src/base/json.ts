/** Reads JSON from a file. */
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
  return parseJsonObject(await readText(path), path);
}

/**
 * The value that a JSON file holds, of whatever type.
 *
 * @throws PrunelabError when the file is missing, too large or not JSON.
 */
export async function readJson(path: string): Promise<unknown> {
  return parseJson(await readText(path), path);
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new PrunelabError(`too large for JSON: ${path}: ${size.toLocaleString("en-US")} bytes; check the path`);
    }
    return await readFile(path, "utf8");
  } catch (error) {
    throw asReadError(error, path);
  }
}

/** The object that `text` holds; `where` names its source in errors. */
export function parseJsonObject(text: string, where: string): Record<string, unknown> {
  const value = parseJson(text, where);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PrunelabError(`not a JSON object: ${where}; repair it or download it again`);
  }
  return value as Record<string, unknown>;
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PrunelabError(`not valid JSON: ${where}: ${messageOf(error)}; repair it or download it again`, {
      cause: error,
    });
  }
}

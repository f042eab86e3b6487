/** Reads a text file in UTF-8, strictly. */
import { readFile } from "node:fs/promises";
import { asReadError } from "../base/read-error.ts";
import { messageOf, PrunelabError } from "../errors.ts";

/**
 * The text of a file without its byte order mark.
 *
 * @param kind - what errors call its text.
 * @throws PrunelabError if the file cannot be read or is not UTF-8.
 */
export async function readUtf8(path: string, kind: string): Promise<string> {
  const bytes = await readFile(path).catch((error) => {
    throw asReadError(error, path);
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new PrunelabError(`cannot read ${kind}: ${path}: ${messageOf(error)}; get the file again`, { cause: error });
  }
}

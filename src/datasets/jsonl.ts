/** Reads JSON Lines files by streaming, so that neither the file's size nor a line's length matters. */
import { createReadStream } from "node:fs";
import { asReadError } from "../base/read-error.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { parseJson } from "../python/json.ts";
import { isRow } from "./fields.ts";
import type { PlacedRow } from "./source.ts";

const NEWLINE = 0x0a;

/**
 * The objects of a file with one JSON object a line, in UTF-8. A byte order mark, `\r\n` and blank lines are allowed.
 *
 * @throws PrunelabError with the line's number, where a line is not valid UTF-8 or not a JSON object.
 */
export async function* readJsonLines(path: string): AsyncGenerator<PlacedRow> {
  let line = 0;
  for await (const bytes of readLines(path)) {
    line += 1;
    const place = `${path} line ${line}`;
    const text = decode(bytes, place);
    if (text.trim() !== "") yield { row: parse(text, place), place };
  }
}

/**
 * The bytes between line feeds. Node's own readline cannot be used here: it also ends lines at U+2028 and U+2029, which
 * JSON allows inside strings.
 */
async function* readLines(path: string): AsyncGenerator<Uint8Array> {
  let pieces: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        const rest = chunk.subarray(start, end);
        yield pieces.length === 0 ? rest : Buffer.concat([...pieces, rest]);
        pieces = [];
        start = end + 1;
      }
      if (start < chunk.length) pieces.push(chunk.subarray(start));
    }
  } catch (error) {
    throw asReadError(error, path);
  }
  if (pieces.length > 0) yield Buffer.concat(pieces);
}

/** Drops a byte order mark, which JSON.parse refuses. */
function decode(bytes: Uint8Array, place: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new PrunelabError(`not UTF-8 text: ${place}: ${messageOf(error)}; get the file again`, { cause: error });
  }
}

function parse(text: string, place: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new PrunelabError(`not JSON: ${place}: ${messageOf(error)}; fix the line or get the file again`, {
      cause: error,
    });
  }
  if (isRow(value)) return value;
  throw new PrunelabError(
    `not a JSON object: ${place}: ${text.trim().slice(0, 80)}; fix the line or get the file again`,
  );
}

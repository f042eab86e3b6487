/** Reads CSV files without a header line, strictly as RFC 4180 has them, and knows each record's line. */
import { PrunelabError } from "../errors.ts";
import { readUtf8 } from "./utf8.ts";

/** The fields of one record and the place where it begins. */
export interface CsvRecord {
  readonly fields: readonly string[];
  readonly place: string;
}

/**
 * The records of a CSV file in UTF-8. A byte order mark, `\r\n` and blank lines are allowed.
 *
 * @throws PrunelabError with the line's number, where quotes do not pair or stand inside an unquoted field.
 */
export async function readCsv(path: string): Promise<CsvRecord[]> {
  return parseCsv(await readUtf8(path, "CSV"), path);
}

/** Sticky, so each match begins where the last one ended: a field in quotes or without, then what ends it. */
const FIELD = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|$)/y;

/** The records of a text in CSV; `path` is for places and errors. */
export function parseCsv(text: string, path: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let fields: string[] = [];
  let [firstLine, line] = [1, 1];
  FIELD.lastIndex = 0;
  while (FIELD.lastIndex < text.length || fields.length > 0) {
    const match = FIELD.exec(text);
    if (match === null) {
      throw new PrunelabError(`not CSV: ${path} line ${line}: quotes must enclose a whole field; get the file again`);
    }
    const [whole, quoted, bare = "", end] = match;
    fields.push(quoted?.replaceAll('""', '"') ?? bare);
    line += whole.split("\n").length - 1;
    if (end === ",") continue;
    const isBlank = fields.length === 1 && fields[0] === "" && quoted === undefined;
    if (!isBlank) records.push({ fields, place: `${path} line ${firstLine}` });
    fields = [];
    firstLine = line;
  }
  return records;
}

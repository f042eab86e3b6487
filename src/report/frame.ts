/** Rows as danfojs frames that show themselves as tables, and frames as HTML, Markdown and CSV. */

import type { DataFrame } from "danfojs-node";
import { display } from "../base/display-name.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { csvText } from "./csv.ts";
import { type Block, html, markdown, plainText, type Table } from "./document.ts";
import { installPlot } from "./frame-plot.ts";

export interface FrameOptions {
  /** Which columns, in which order; default: all. */
  readonly columns?: readonly string[];
  /** Units, n and source, shown below the table. */
  readonly caption?: string;
  /** Shows every row; unless given, the first and last of more than 40, and how many there are. */
  readonly allRows?: boolean;
}

/** A table with more rows shows as many of them, half from either end. */
const SHOWN_ROWS = 40;

/** danfojs makes a property of each column, which would hide these of the frame's own. */
const ownNames = ["columns", "values", "index", "shape", "dtypes", "axis", "size", "tensor", "config"];

/**
 * Rows as a frame of danfojs-node (https://danfo.jsdata.org), for grouping, sorting and merging. In a notebook it shows itself with its
 * caption, and carries its exact numbers as Frictionless tabular data; frames made from it show themselves as the kernel shows any frame.
 * Its charts, such as `made.plot("").bar()`, are plotly figures, which show themselves too.
 *
 * @throws PrunelabError if danfojs-node is not installed, there are no rows, or a column is unknown or of a name that frames need.
 */
export async function frame(
  rows: readonly object[],
  { columns, caption = "", allRows = false }: FrameOptions = {},
): Promise<DataFrame> {
  const { DataFrame } = await loadDanfo();
  if (rows.length === 0) throw new PrunelabError("no rows for a frame: 0; give one or more");
  const known = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const unknown = columns?.find((column) => !known.includes(column));
  if (unknown !== undefined) throw new PrunelabError(`unknown column: ${unknown}; known are ${known.join(", ")}`);
  const names = columns ?? known;
  const taken = names.find((name) => ownNames.includes(name));
  if (taken !== undefined) {
    throw new PrunelabError(`danfojs frames have a property of that name: ${taken}; rename the column`);
  }
  const values = rows.map((row) => names.map((name) => (row as Record<string, unknown>)[name] ?? null));
  const made = new DataFrame(values as never, { columns: [...names] });
  const show = () => {
    const table = tableOf(made);
    const count = table.rows.length;
    const isCut = !allRows && count > SHOWN_ROWS;
    const note = [
      isCut ? `${count.toLocaleString("en-US")} rows, the first and last ${SHOWN_ROWS / 2} shown.` : "",
      caption,
    ];
    const blocks = documentOf(isCut ? cut(table) : table, note.filter((text) => text !== "").join(" "));
    return {
      "text/html": html(blocks),
      "text/plain": plainText(blocks),
      "application/vnd.dataresource+json": frameData(made),
    };
  };
  Object.defineProperty(made, display, { value: show });
  return made;
}

/** A frame as an HTML table; the caption stands below. */
export function frameHtml(frame: DataFrame, caption = ""): string {
  return html(documentOf(tableOf(frame), caption));
}

function documentOf(table: Table, note: string): Block[] {
  return [{ table }, ...(note ? [{ note }] : [])];
}

/** Head and tail of a table, with a row of dots between them. */
function cut(table: Table): Table {
  const { rows, header } = table;
  const half = SHOWN_ROWS / 2;
  return { ...table, rows: [...rows.slice(0, half), header.map(() => "…"), ...rows.slice(-half)] };
}

/** A frame as a table in GitHub's Markdown. */
export function frameMarkdown(frame: DataFrame): string {
  return markdown([{ table: tableOf(frame) }]);
}

/** A frame as CSV (RFC 4180) with a header line; numbers have all their digits, missing values are empty. */
export function frameCsv(frame: DataFrame): string {
  // danfojs' own toCSV quotes nothing, so that a comma in a name would become a column.
  return csvText(frame.columns, rowsOf(frame));
}

/** Frictionless' tabular data resource, which carries numbers with all their digits. */
function frameData(frame: DataFrame): object {
  const rows = rowsOf(frame);
  const fields = frame.columns.map((name, column) => {
    const values = rows.map((row) => row[column]).filter((value) => value !== null);
    const type = values.every((value) => typeof value === "number") ? "number" : "string";
    return { name, type };
  });
  const data = rows.map((row) => Object.fromEntries(row.map((value, column) => [frame.columns[column]!, value])));
  return { schema: { fields }, data };
}

/** Numbers of a column with as many decimals as its size asks for, so that they stand below each other. */
function tableOf(frame: DataFrame): Table {
  const rows = rowsOf(frame);
  const texts = frame.columns.map((_, column) =>
    columnTexts(
      String(frame.columns[column]),
      rows.map((row) => row[column]),
    ),
  );
  const textColumns = frame.columns.flatMap((_, column) =>
    rows.some((row) => typeof row[column] === "string") ? [column] : [],
  );
  return { header: frame.columns, rows: rows.map((_, row) => texts.map((column) => column[row]!)), textColumns };
}

/** The numbers of a column with the same decimals, as many as it has itself if these are few. */
function columnTexts(name: string, values: readonly unknown[]): string[] {
  const numbers = values.filter((value) => typeof value === "number").filter(Number.isFinite);
  const most = mostDecimals(numbers);
  const digits = Math.max(0, ...numbers.map((value) => decimals(Number(value.toFixed(most)))));
  const format = new Intl.NumberFormat("en-US", {
    ...{ minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: !areYears(name, numbers) },
    signDisplay: isChange(name) ? "exceptZero" : "negative",
  });
  return values.map((value) => {
    if (value === null || value === undefined) return "";
    // A cell is one line; that a text had more of them is still seen.
    if (typeof value !== "number" || !Number.isFinite(value)) return String(value).replace(/\s*\n\s*/g, " ⏎ ");
    const isTiny = value !== 0 && Math.abs(value) < 0.5 * 10 ** -most;
    return isTiny ? value.toExponential(1) : format.format(value);
  });
}

/** More than these come from computing, not from who wrote them down. */
const WRITTEN_DECIMALS = 6;

function mostDecimals(numbers: readonly number[]): number {
  const written = Math.max(0, ...numbers.map(decimals));
  if (written <= WRITTEN_DECIMALS) return written;
  return Math.max(0, ...numbers.map(Math.abs)) >= 1.5 ? 2 : 4;
}

/** Of the shortest decimal that stands for the number. */
function decimals(value: number): number {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  return Math.max(0, (mantissa.split(".")[1]?.length ?? 0) - Number(exponent));
}

/** A year is 2026, not 2,026. */
function areYears(name: string, numbers: readonly number[]): boolean {
  if (/^(year|years|jahr|seed|id)$/i.test(name)) return true;
  return numbers.length > 0 && numbers.every((value) => Number.isInteger(value) && value >= 1900 && value <= 2100);
}

function isChange(name: string): boolean {
  return /(^|[^a-z])(change|difference|delta|gain)s?([^a-z]|$)|Change$/i.test(name);
}

function rowsOf(frame: DataFrame): unknown[][] {
  return frame.values as unknown[][];
}

async function loadDanfo(): Promise<typeof import("danfojs-node")> {
  try {
    const loaded = await import("danfojs-node");
    // Its tensorflow.js would advise, on the first sum, to install the native library that the overrides leave out.
    loaded.tensorflow.env().set("IS_NODE", false);
    installPlot([loaded.DataFrame.prototype, loaded.Series.prototype]);
    return loaded;
  } catch (error) {
    throw new PrunelabError(
      `cannot load danfojs-node, which frames need: ${messageOf(error).split("\n")[0]}; put "overrides": {"danfojs-node": {"@tensorflow/tfjs-node": "npm:@tensorflow/tfjs@3.21.0", "xlsx": "0.18.5"}} into package.json and run npm install danfojs-node@1.2.0`,
      { cause: error },
    );
  }
}

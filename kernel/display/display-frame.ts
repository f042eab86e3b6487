/** Shows danfojs frames and series, known by their shape and not by import: first and last rows, names, shape. */
import { cutText } from "../../src/base/cut-text.ts";
import { escapeMarkup } from "../../src/base/escape-markup.ts";
import { textTable } from "../../src/base/text-table.ts";

/** The part of danfojs' DataFrame and Series that is read. */
interface Frame {
  $isSeries: boolean;
  shape: number[];
  columns: (string | number)[];
  index: (string | number)[];
  /** Rows of a frame, values of a series. */
  values: unknown[];
  dtypes?: string[];
}

const EDGE_ROWS = 10;
const EDGE_COLUMNS = 12;
const MAX_CELL_CHARACTERS = 80;
const GAP = Symbol("gap");

export function frameBundle(value: object): Record<string, string> | undefined {
  if (!isFrame(value)) return undefined;
  const { $isSeries: isSeries, shape, index, dtypes = [] } = value;
  const [rowCount = 0, columnCount = 1] = shape;
  const names = isSeries ? [value.columns?.[0] ?? "0"] : value.columns;
  const rows = edges(rowCount, EDGE_ROWS);
  const columns = edges(names.length, EDGE_COLUMNS);
  const table = rows.map((row) => {
    if (row === GAP) return ["…", ...columns.map(() => "…")];
    const values = isSeries ? [value.values[row]] : (value.values[row] as unknown[]);
    return [String(index[row] ?? row), ...columns.map((column) => (column === GAP ? "…" : cellText(values[column])))];
  });
  const head = columns.map((column) => (column === GAP ? "…" : String(names[column])));
  const types = columns.map((column) => (column === GAP ? "" : (dtypes[column] ?? "")));
  const caption = `${rowCount} rows × ${isSeries ? 1 : columnCount} columns`;
  return { "text/html": toHtml(head, types, table, caption), "text/plain": toPlain(["", ...head], table, caption) };
}

function isFrame(value: object): value is Frame {
  const { $isSeries, shape, index, columns } = value as Partial<Frame>;
  return typeof $isSeries === "boolean" && [shape, index, columns].every((part) => Array.isArray(part));
}

/** The first and last positions of `count`, with a gap between them where some are left out. */
function edges(count: number, edge: number): (number | typeof GAP)[] {
  const all = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  return count <= 2 * edge ? all(0, count) : [...all(0, edge / 2), GAP, ...all(count - edge / 2, count)];
}

function cellText(value: unknown): string {
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  const text =
    value === null || value === undefined ? String(value) : value instanceof Date ? value.toISOString() : String(value);
  return text.length <= MAX_CELL_CHARACTERS ? text : `${cutText(text, MAX_CELL_CHARACTERS)}…`;
}

function toHtml(head: string[], types: string[], table: string[][], caption: string): string {
  const cell = (tag: string) => (text: string) => `<${tag}>${escapeMarkup(text)}</${tag}>`;
  const names = head.map((name, i) => `<th title="${escapeMarkup(types[i] ?? "")}">${escapeMarkup(name)}</th>`);
  const rows = table.map(([label = "", ...cells]) => `<tr>${cell("th")(label)}${cells.map(cell("td")).join("")}</tr>`);
  return `<table><thead><tr><th></th>${names.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table><p>${caption}</p>`;
}

function toPlain(head: string[], table: string[][], caption: string): string {
  return `${textTable([head, ...table], [])}\n\n${caption}`;
}

/** Shows a Map as a table, beside the text that Node's console writes. */
import { inspect } from "node:util";
import { cutText } from "../../src/base/cut-text.ts";
import { escapeMarkup } from "../../src/base/escape-markup.ts";

const MAX_ROWS = 100;
const MAX_CELL_CHARACTERS = 200;

export function mapBundle(value: object): Record<string, string> | undefined {
  if (!(value instanceof Map) || value.size === 0) return undefined;
  const rows = [...value]
    .slice(0, MAX_ROWS)
    .map(([key, item]) => `<tr><th>${cell(key)}</th><td>${cell(item)}</td></tr>`);
  const more = value.size > MAX_ROWS ? `<p>and ${value.size - MAX_ROWS} more</p>` : "";
  const html = `<table><thead><tr><th>key</th><th>value</th></tr></thead><tbody>${rows.join("")}</tbody></table>${more}`;
  return { "text/html": html, "text/plain": inspect(value) };
}

function cell(value: unknown): string {
  const text = typeof value === "string" ? value : inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
  return escapeMarkup(text.length <= MAX_CELL_CHARACTERS ? text : `${cutText(text, MAX_CELL_CHARACTERS)}…`);
}

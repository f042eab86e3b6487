/** A short document (headings, lists, tables) as plain text, as Markdown, and as HTML. */

import { escapeMarkup } from "../base/escape-markup.ts";
import { textTable } from "../base/text-table.ts";

/** What a document is made of; all texts are plain and get escaped. */
export type Block =
  | { readonly heading: string; readonly level: 2 | 3 }
  | { readonly list: readonly string[] }
  /** Small print. */
  | { readonly note: string }
  | { readonly table: Table };

/** Rows of as many cells as the header has. */
export interface Table {
  /** Indices of the columns that stand to the left, as text does; the first alone unless given. */
  readonly textColumns?: readonly number[];
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A model's name without its owner. */
export function shortName(name: string): string {
  return name.split("/").at(-1) || name;
}

/** For a terminal: tables in columns. */
export function plainText(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      if ("heading" in block) return block.heading;
      if ("list" in block) return block.list.map((item) => `- ${item}`).join("\n");
      if ("note" in block) return block.note;
      const { header, rows, textColumns = [0] } = block.table;
      return textTable([header, ...rows], textColumns);
    })
    .join("\n\n");
}

/** GitHub's Markdown. */
export function markdown(blocks: readonly Block[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeMarkdown).join(" | ")} |`;
  return blocks
    .map((block) => {
      if ("heading" in block) return `${"#".repeat(block.level)} ${escapeMarkdown(block.heading)}`;
      if ("list" in block) return block.list.map((item) => `- ${escapeMarkdown(item)}`).join("\n");
      if ("note" in block) return escapeMarkdown(block.note);
      const { header, rows, textColumns = [0] } = block.table;
      const rule = `| ${header.map((_, column) => (textColumns.includes(column) ? "---" : "---:")).join(" | ")} |`;
      return [line(header), rule, ...rows.map(line)].join("\n");
    })
    .join("\n\n");
}

/** HTML without styles of its own but for the numbers' side. */
export function html(blocks: readonly Block[]): string {
  const line = (tag: "td" | "th", cells: readonly string[], { textColumns = [0] }: Table) => {
    const side = (column: number) => (textColumns.includes(column) ? "left" : "right");
    const cell = (text: string, column: number) =>
      `<${tag} style="text-align:${side(column)}${textColumns.includes(column) ? "" : ";white-space:nowrap"}">${escapeMarkup(text)}</${tag}>`;
    return `<tr>${cells.map(cell).join("")}</tr>`;
  };
  return blocks
    .map((block) => {
      if ("heading" in block) return `<h${block.level}>${escapeMarkup(block.heading)}</h${block.level}>`;
      if ("list" in block) return `<ul>${block.list.map((item) => `<li>${escapeMarkup(item)}</li>`).join("")}</ul>`;
      if ("note" in block) return `<p style="max-width:56em"><small>${escapeMarkup(block.note)}</small></p>`;
      const { table } = block;
      const body = table.rows.map((cells) => line("td", cells, table)).join("");
      return `<table><thead>${line("th", table.header, table)}</thead><tbody>${body}</tbody></table>`;
    })
    .join("\n");
}

/** Plain text in one line of Markdown. */
export function escapeMarkdown(text: string): string {
  return text.replace(/[\r\n]+/g, " ").replace(/[\\`*_[\]<>|~#$]/g, "\\$&");
}

/** Lets a value show itself in a notebook as a short table of what it is, instead of as a dump of all that it holds. */
import { display } from "./display-name.ts";
import { escapeMarkup } from "./escape-markup.ts";
import { textTable } from "./text-table.ts";

/** What a table says, by name; what is undefined is left out. */
export type Facts = Readonly<Record<string, string | number | undefined>>;

/** The value itself, which shows `facts` where a kernel asks it to; nothing else about it changes. */
export function withTable<T extends object>(value: T, facts: () => Facts): T {
  const show = () => {
    const rows = Object.entries(facts()).flatMap(([name, fact]) =>
      fact === undefined ? [] : [[name, typeof fact === "number" ? fact.toLocaleString("en-US") : fact]],
    );
    const line = ([name, fact]: string[]) =>
      `<tr><th style="text-align:left">${escapeMarkup(name)}</th><td style="text-align:left">${escapeMarkup(fact)}</td></tr>`;
    return {
      "text/html": `<table><tbody>${rows.map(line).join("")}</tbody></table>`,
      "text/plain": textTable(rows, [0, 1]),
    };
  };
  // Not enumerable: a copy by spread is another value, of which these facts may not hold.
  return Object.defineProperty(value, display, { value: show, configurable: true });
}

/** E.g. `37.4 %`. */
export function percentText(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

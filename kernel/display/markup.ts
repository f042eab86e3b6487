/** The tags `html`, `svg` and `md`, whose results show themselves. */

import { escapeMarkup } from "../../src/base/escape-markup.ts";
import { displaySymbol } from "./display.ts";

/** Text of one MIME type that shows itself. */
export class Markup {
  readonly type: string;
  readonly text: string;

  constructor(type: string, text: string) {
    this.type = type;
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

Object.defineProperty(Markup.prototype, displaySymbol, {
  value(this: Markup) {
    return { [this.type]: this.text, "text/plain": this.text };
  },
});

export type MarkupTag = ((strings: TemplateStringsArray | string, ...values: unknown[]) => Markup) & {
  /** Text that is to be inserted as it is. */
  raw(text: string): Markup;
};

/** Values are escaped, but for the results of `html` and `svg` themselves; lists are joined. */
export const html: MarkupTag = createTag("text/html", escapeMarkup);
export const svg: MarkupTag = createTag("image/svg+xml", escapeMarkup);
/** Values are inserted as they are. */
export const md: MarkupTag = createTag("text/markdown", String);

function createTag(type: string, write: (value: unknown) => string): MarkupTag {
  const insert = (value: unknown): string => {
    if (value instanceof Markup) return value.text;
    return Array.isArray(value) ? value.map(insert).join("") : write(value);
  };
  const tag = (strings: TemplateStringsArray | string, ...values: unknown[]) => {
    if (typeof strings === "string") return new Markup(type, strings);
    return new Markup(type, strings.map((text, i) => text + (i < values.length ? insert(values[i]) : "")).join(""));
  };
  return Object.assign(tag, { raw: (text: string) => new Markup(type, text) });
}

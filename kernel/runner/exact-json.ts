/** JSON whose numbers come back as they were written: `1.0`, `1e-05`, integers beyond 2^53, and Python's NaN and Infinity. */

/** A number that JavaScript would write in another way, or lose digits of. */
export class ExactNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  valueOf(): number {
    return Number(this.text);
  }
}

/** No text in a file begins so: JSON must escape a control character, and this stands for it unescaped. */
const MARK = "\u0001prunelab number ";
const TOKENS = /"(?:[^"\\]|\\[\s\S])*"|-?Infinity|NaN|-?\d[\d.eE+-]*/g;

const NUMBER = /^(NaN|-?Infinity|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/;

function isPlainNumber(token: string): boolean {
  const value = Number(token);
  return Number.isFinite(value) && String(value) === token;
}

/** Throws SyntaxError, as JSON.parse does. */
export function parseExact(text: string): unknown {
  let isPlain = true;
  const marked = text.replace(TOKENS, (token: string, offset: number) => {
    if (token.startsWith('"') || isPlainNumber(token)) return token;
    // What is not a number, or a name, stays for JSON.parse to report.
    if (!NUMBER.test(token) || /^\s*:/.test(text.slice(offset + token.length, offset + token.length + 80)))
      return token;
    isPlain = false;
    return `"\\u0001${MARK.slice(1)}${token}"`;
  });
  if (isPlain) return JSON.parse(text);
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === "string" && value.startsWith(MARK) ? new ExactNumber(value.slice(MARK.length)) : value,
  );
}

/** As JSON.stringify with one space of indent. */
export function formatExact(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (item instanceof ExactNumber ? `${MARK}${item.text}` : item),
    1,
  );
  return text.replace(/"\\u0001prunelab number ([^"]*)"/g, "$1");
}

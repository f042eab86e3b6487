/** JSON as Python's `json` reads and spells it (`ensure_ascii=False`), since lm-eval's files and hashes are made of that. */

/** A number that Python holds as a float: 200 is written `200.0`. */
export class PythonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** What a JavaScript object forgets of the JSON that it was read from: the order of keys such as "2", and numbers such as 1.0. */
interface Spelling {
  readonly order: readonly string[];
  /** Python's spelling of numbers, by key or index, and the number that it stands for. */
  readonly numbers: Readonly<Record<string, { readonly value: number; readonly text: string }>>;
}

/** Enumerable, so that `{ ...row }` keeps it; only on objects and lists that need it. */
const spelling: unique symbol = Symbol("spelling in Python");

interface Kept {
  [spelling]?: Spelling;
}

/**
 * `JSON.parse`, whose values `pythonJson` writes as Python would write what Python reads: 1.0 and 1e22 stay floats, integers past 2^53 keep
 * their digits, and keys their order.
 *
 * @throws SyntaxError as JSON.parse does.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // Most texts have neither, and need no second look.
  if (MAY_DIFFER.test(text)) keepSpelling(text, value);
  return value;
}

const MAY_DIFFER = /"\d+"\s*:|-0|\d[.eE]|\d{16}/;
const TOKEN = /[\s,:]*("[^"\\]*(?:\\.[^"\\]*)*"|[^\s,:\]}[{"]+|[[\]{}])/y;

/** Walks through a text that JSON.parse took, beside the value that it gave. */
function keepSpelling(text: string, whole: unknown): void {
  TOKEN.lastIndex = 0;
  const next = () => TOKEN.exec(text)![1]!;
  const walk = (token: string, value: unknown): void => {
    if (token !== "{" && token !== "[") return;
    const isList = token === "[";
    const end = isList ? "]" : "}";
    const order = new Set<string>();
    const numbers: Record<string, { value: number; text: string }> = Object.create(null);
    for (let first = next(); first !== end; first = next()) {
      const key = isList ? String(order.size) : (JSON.parse(first) as string);
      order.add(key);
      const item = isList ? first : next();
      delete numbers[key];
      if (/^[-\d]/.test(item)) {
        const spelled = spelledNumber(item);
        if (spelled !== numberText(Number(item))) numbers[key] = { value: Number(item), text: spelled };
      }
      walk(item, (value as Record<string, unknown> | null)?.[key]);
    }
    if (typeof value !== "object" || value === null) return;
    const keys = [...order];
    const isOrdered = isList || Object.keys(value).every((key, index) => key === keys[index]);
    const differs = Object.keys(numbers).length > 0 || !isOrdered;
    // Of a key that comes twice the last value counts, and its spelling.
    if (differs) (value as Kept)[spelling] = { order: isOrdered ? [] : keys, numbers };
    else delete (value as Kept)[spelling];
  };
  walk(next(), whole);
}

/** A number's spelling after Python has read it: integers keep all digits, others become floats. */
function spelledNumber(literal: string): string {
  return /^-?\d+$/.test(literal) ? BigInt(literal).toString() : jsonFloat(Number(literal));
}

/**
 * Writes a value: on one line, or over many with `indent` spaces a level. Objects keep the order of their keys; a key
 * whose value is undefined is left out. Whole numbers are written as integers unless wrapped in a PythonFloat.
 *
 * @throws TypeError where a value has no JSON.
 */
export function pythonJson(value: unknown, { indent = 0 }: { readonly indent?: number } = {}): string {
  const newline = (level: number) => (indent > 0 ? `\n${" ".repeat(indent * level)}` : "");
  const enclose = (open: string, items: readonly string[], close: string, level: number) =>
    items.length === 0
      ? open + close
      : open + newline(level + 1) + items.join(indent > 0 ? `,${newline(level + 1)}` : ", ") + newline(level) + close;

  const write = (part: unknown, level: number): string => {
    if (part === null || typeof part === "boolean" || typeof part === "string") return JSON.stringify(part);
    if (part instanceof PythonFloat) return jsonFloat(part.value);
    if (typeof part === "number") return numberText(part);
    if (typeof part === "bigint") return part.toString();
    if (Array.isArray(part)) {
      return enclose(
        "[",
        part.map((item, index) => spelledIn(part, String(index), item) ?? write(item, level + 1)),
        "]",
        level,
      );
    }
    if (typeof part !== "object") throw new TypeError(`no JSON for a ${typeof part}`);
    const members = inOrder(part).filter(([, inner]) => inner !== undefined);
    return enclose(
      "{",
      members.map(([name, inner]) => {
        return `${JSON.stringify(name)}: ${spelledIn(part, name, inner) ?? write(inner, level + 1)}`;
      }),
      "}",
      level,
    );
  };
  return write(value, 0);
}

/** The members in the order of the JSON that they were read from, and those that were added later after them. */
function inOrder(part: object): [string, unknown][] {
  const order = (part as Kept)[spelling]?.order ?? [];
  if (order.length === 0) return Object.entries(part);
  const known = order.filter((key) => Object.hasOwn(part, key));
  const added = Object.keys(part).filter((key) => !order.includes(key));
  return [...known, ...added].map((key) => [key, (part as Record<string, unknown>)[key]]);
}

/** How a number was spelled, unless another has taken its place. */
function spelledIn(part: object, key: string, value: unknown): string | undefined {
  const kept = (part as Kept)[spelling]?.numbers[key];
  return kept && Object.is(kept.value, value) ? kept.text : undefined;
}

function numberText(value: number): string {
  return Number.isInteger(value) ? BigInt(value).toString() : jsonFloat(value);
}

/** `json` and `repr` differ if the value is not a number. */
function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? pythonFloat(value) : value < 0 ? "-Infinity" : "Infinity";
}

/** Python's `repr` of a float: the shortest digits that read back as it, with an exponent below 1e-4 and from 1e16. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa = "", power = ""] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

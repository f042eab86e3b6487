/** JSON as Python's `json.dumps(…, ensure_ascii=False)` spells it, since lm-eval's files and hashes are made of that. */

/** A number that Python holds as a float: 200 is written `200.0`. */
export class PythonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
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
    if (typeof part === "number") return Number.isInteger(part) ? BigInt(part).toString() : jsonFloat(part);
    if (typeof part === "bigint") return part.toString();
    if (Array.isArray(part)) {
      return enclose(
        "[",
        part.map((item) => write(item, level + 1)),
        "]",
        level,
      );
    }
    if (typeof part !== "object") throw new TypeError(`no JSON for a ${typeof part}`);
    const members = Object.entries(part).filter(([, inner]) => inner !== undefined);
    return enclose(
      "{",
      members.map(([name, inner]) => `${JSON.stringify(name)}: ${write(inner, level + 1)}`),
      "}",
      level,
    );
  };
  return write(value, 0);
}

/** `json` and `repr` differ where the value is no number. */
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

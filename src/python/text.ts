/** Python's str methods where JavaScript's differ, since prompts must be lm-eval's to the letter. */

// Python counts U+001C to U+001F and U+0085 as white space, JavaScript counts U+FEFF.
const WHITE = "[\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const BORDERS = new RegExp(`^${WHITE}+|${WHITE}+$`, "g");
const SPACES = new RegExp(`${WHITE}+`);
const END = new RegExp(`${WHITE}+$`);

/** Python's `str.strip()`. */
export function strip(text: string): string {
  return text.replace(BORDERS, "");
}

/** Python's `str.rstrip()`. */
export function stripEnd(text: string): string {
  return text.replace(END, "");
}

/** Python's `str.capitalize()`: the first character in title case, all others in lower case. */
export function capitalize(text: string): string {
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0);
  // The whole is lowered at once, as a final sigma depends on what stands before it.
  return text === "" ? "" : titleCase(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

/** Number of Python characters (code points). */
export function length(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Python's `str.isspace()` of one character. */
export function isSpace(character: string): boolean {
  return END.test(character);
}

/** Number of parts that Python's `re.split(r"\\s+", text)` gives. */
export function countWords(text: string): number {
  return text.split(SPACES).length;
}

/** Takes away white space after `open` and before `close`, where what is between holds no `close`. */
export function tighten(text: string, open: string, close: string): string {
  const inner = new RegExp(`\\${open}${WHITE}*([^\\${close}]*?)${WHITE}*\\${close}`, "g");
  return text.replace(inner, (_, between: string) => open + between + close);
}

/** Python's `str` of a list of texts. */
export function pythonList(texts: readonly string[]): string {
  return `[${texts.map(repr).join(", ")}]`;
}

/** Python's `repr` of a text: in single quotes, unless these are all it contains, with escapes for what cannot be printed. */
function repr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\\'"]|(?! )[\p{C}\p{Z}]/gu, (character) => {
    if (character === "\\" || character === quote) return `\\${character}`;
    if (character === "'" || character === '"') return character;
    const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
    if (short !== undefined) return short;
    const hex = character.codePointAt(0)!.toString(16);
    if (hex.length <= 2) return `\\x${hex.padStart(2, "0")}`;
    return hex.length <= 4 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
  });
  return quote + escaped + quote;
}

/** Unicode's full title case of one character, which JavaScript lacks. */
function titleCase(character: string): string {
  const code = character.codePointAt(0)!;
  // Dž, Lj, Nj and Dz have a form of their own for titles, in the middle of each three.
  if ((code >= 0x1c4 && code <= 0x1cc) || (code >= 0x1f1 && code <= 0x1f3)) {
    return String.fromCodePoint(code - ((code - (code < 0x1f1 ? 0x1c4 : 0x1f1)) % 3) + 1);
  }
  // Georgian uses its capitals for whole words only.
  if (code >= 0x10d0 && code <= 0x10ff) return character;
  const upper = character.toUpperCase();
  // Greek keeps an iota subscript below, where upper case writes a capital iota beside.
  if (code > 0x345 && character.normalize("NFD").includes("\u0345")) {
    const below = `${upper.slice(0, -1)}\u0345`;
    return below.length === 2 ? below.normalize("NFC") : below;
  }
  // A ligature's second letter stays small (ﬁ to Fi, ß to Ss); ŉ is an apostrophe and a letter.
  const [head = "", ...rest] = upper;
  return code === 0x149 ? upper : head + rest.join("").toLowerCase();
}

/** Compares a cell's outputs with the saved ones, but for what changes with every run. */
import { createHash } from "node:crypto";
import { createTwoFilesPatch } from "diff";
import { messageOf } from "../errors.ts";
import { isObject, type Output } from "./notebook.ts";
import { RunError } from "./run-error.ts";
import { sortKeys } from "./write-notebook.ts";

export interface Mask {
  pattern: RegExp;
  /** Stands for what the pattern finds. */
  name: string;
}

const NUMBER = String.raw`(?<![\w.])[-+]?\d[\d,_]*(?:\.\d+)?`;

/** Times, durations, sizes, rates, and names made by chance. */
export const defaultMasks: readonly Mask[] = [
  { name: "<date>", pattern: /\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?/g },
  { name: "<time>", pattern: /\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b/g },
  {
    name: "<rate>",
    pattern: new RegExp(String.raw`${NUMBER}\s?[\w ]{0,24}\/\s?(?:s|sec|second|min|minute)\b`, "g"),
  },
  {
    name: "<duration>",
    pattern: new RegExp(
      String.raw`${NUMBER}\s?(?:ns|µs|us|ms|s|sec|secs|seconds?|min|mins|minutes?|h|hours?)\b(?:\s\d+\s?s\b)?`,
      "g",
    ),
  },
  { name: "<size>", pattern: new RegExp(String.raw`${NUMBER}\s?(?:[kKMGT]i?B|bytes|B)\b`, "g") },
  { name: "<uuid>", pattern: /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi },
  { name: "<temporary>", pattern: /(?:\/tmp|\/var\/folders|\/private\/var)\/[^\s"'<>)]*/g },
  // plotly names the parts of a drawing anew each time.
  { name: "<id>", pattern: /(?<=(?:clip|defs-|topdefs-|legend|gradient|pattern|colorbar))[0-9a-f]{6}/g },
];

/** Throws RunError if the text is not a regular expression, or one that is found in nothing. */
export function parseMask(text: string): Mask {
  try {
    const pattern = new RegExp(text, "g");
    if (!pattern.test("")) return { name: "<mask>", pattern };
  } catch (error) {
    throw new RunError("options", `invalid --mask; a regular expression: ${text}: ${messageOf(error)}`);
  }
  throw new RunError("options", `invalid --mask; it is found in an empty text too: ${text}`);
}

/** Lines as `diff -u` shows them; empty where nothing differs. */
export function diffOutputs(saved: readonly Output[], now: readonly Output[], masks: readonly Mask[]): string {
  const [before, after] = [saved, now].map((outputs) => masked(describe(outputs), masks)) as [string, string];
  if (before === after) return "";
  const patch = createTwoFilesPatch("saved", "now", before, after, "", "", { context: 2 });
  // A title of its own comes with the cell.
  return patch.slice(patch.indexOf("--- saved"));
}

export function masked(text: string, masks: readonly Mask[]): string {
  return masks.reduce((rest, { pattern, name }) => rest.replace(pattern, name), text);
}

function describe(outputs: readonly Output[]): string {
  return outputs
    .filter((output) => !isProgress(output))
    .map(describeOutput)
    .join("");
}

/** How far a call came, and what the library said of its sources: as a run happens to find them. */
function isProgress({ metadata }: Output): boolean {
  const own = isObject(metadata) && isObject(metadata.prunelab) ? metadata.prunelab : {};
  return own.progress === true || own.notice === true;
}

function describeOutput(output: Output): string {
  const { output_type: type, name, text, data, ename, evalue } = output;
  if (type === "stream") return section(String(name), String(text));
  if (type === "error") return section("error", `${ename}: ${evalue}`);
  const entries = Object.entries(isObject(data) ? data : {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([mime, value]) => section(`${type} ${mime}`, textOf(mime, value))).join("");
}

function section(title: string, text: string): string {
  return `[${title}]\n${text}${text.endsWith("\n") ? "" : "\n"}`;
}

function textOf(mime: string, value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(sortKeys(value), undefined, 1);
  if (mime.startsWith("image/") && mime !== "image/svg+xml") {
    return `(${value.length} characters, sha256 ${createHash("sha256").update(value).digest("hex")})`;
  }
  // A long line of markup would be one long difference.
  return /html|xml/.test(mime) ? value.replace(/>\s*</g, ">\n<") : value;
}

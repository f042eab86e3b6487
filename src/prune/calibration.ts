/** Calibration windows: which token ids the linear layers' inputs are measured on. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { mersenne } from "pure-rand/generator/mersenne";
import { checkInteger } from "../base/check-integer.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { dolly } from "../datasets/dolly.ts";
import { readJsonLines } from "../datasets/jsonl.ts";
import { loadRows } from "../datasets/load-rows.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { loadTokenizer } from "../model/tokenizer.ts";

export interface CalibrationOptions {
  /**
   * Where texts come from, in equal shares if several: `"dolly"` (Dolly-15k, the default), a `.jsonl` file (each row's `text`, or else all its
   * texts joined by newlines), or any other file as one text.
   */
  readonly source?: string | readonly string[];
  /** Number of windows. Default 64. */
  readonly windows?: number;
  /** Tokens of a window, BOS among them. Default 512, or as many as the model sees if fewer. */
  readonly tokens?: number;
  /** Of the order of the texts. An integer; default 0. */
  readonly seed?: number;
  /** Whether a window's first position, BOS, counts in the statistics. Default true, as in the Wanda repository's code on Gemma. */
  readonly countBos?: boolean;
  /** The windows themselves, in place of all the above but `countBos`; all of one length. */
  readonly tokenIds?: readonly (readonly number[])[];
}

/** Texts of one kind. */
export interface CalibrationPart {
  readonly source: string;
  /** Dolly's category; empty for other sources. */
  readonly category: string;
  /** Texts that are in a window, whole or in part. */
  readonly texts: number;
  /** Their tokens in the windows, with the blank line after each text. */
  readonly tokens: number;
}

interface Text {
  readonly text: string;
  readonly category: string;
}

/** Windows of one length, ready for the model. */
export interface Calibration {
  /** What the windows are made of, by source and category, largest first; empty where they were given as token ids. */
  readonly parts: readonly CalibrationPart[];
  readonly windows: readonly (readonly number[])[];
  readonly countBos: boolean;
  /** Of the windows and of what counts in them. */
  readonly digest: string;
}

/**
 * The windows: texts in a seeded order, joined by blank lines, cut into full windows that each begin with BOS.
 *
 * @throws PrunelabError if a source cannot be read, has too little text, or the numbers make no sense.
 */
export async function loadCalibration(checkpoint: Checkpoint, options: CalibrationOptions = {}): Promise<Calibration> {
  const { source = "dolly", windows: count = 64, seed = 0, countBos = true, tokenIds } = options;
  const { tokens = Math.min(512, checkpoint.config.max_position_embeddings) } = options;
  const windows = tokenIds ?? [];
  const parts: CalibrationPart[] = [];
  if (!tokenIds) {
    checkInteger("calibration.windows", count, 1);
    checkInteger("calibration.tokens", tokens, 2);
    checkLength(tokens, checkpoint.config);
    const sources = [source].flat();
    const tokenizer = loadTokenizer(await checkpoint.tokenizer());
    const shares: number[][][] = [];
    for (const [index, name] of sources.entries()) {
      const share = Math.floor(((index + 1) * count) / sources.length) - Math.floor((index * count) / sources.length);
      const texts = shuffle(await readTexts(name), seed);
      const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
      const packed = packWindows(texts, encode, { name, share, tokens, bos: tokenizer.prefixTokenId });
      shares.push(packed.windows);
      parts.push(...packed.parts);
    }
    (windows as number[][]).push(...shares.flat());
  }
  checkWindows(windows, checkpoint);
  const digest = createHash("sha256")
    .update(JSON.stringify([windows, countBos]))
    .digest("hex");
  return { windows, parts: parts.sort((a, b) => b.tokens - a.tokens), countBos, digest };
}

function packWindows(
  texts: readonly Text[],
  encode: (text: string) => number[],
  { name, share, tokens, bos }: { name: string; share: number; tokens: number; bos: number },
): { windows: number[][]; parts: CalibrationPart[] } {
  const windows: number[][] = [];
  const space = share * (tokens - 1);
  const parts = new Map<string, { source: string; category: string; texts: number; tokens: number }>();
  let rest: number[] = [];
  let used = 0;
  for (const { text, category } of texts) {
    if (windows.length === share) break;
    const ids = encode(`${text}\n\n`);
    const part = parts.get(category) ?? { source: name, category, texts: 0, tokens: 0 };
    parts.set(category, part);
    part.texts += 1;
    part.tokens += Math.min(ids.length, space - used);
    used += ids.length;
    for (const id of ids) rest.push(id);
    while (rest.length >= tokens - 1 && windows.length < share) {
      windows.push([bos, ...rest.slice(0, tokens - 1)]);
      rest = rest.slice(tokens - 1);
    }
  }
  if (windows.length < share) {
    throw new PrunelabError(
      `too little text to calibrate: ${name} fills ${windows.length} of ${share} windows of ${tokens} tokens; choose fewer or shorter windows, or more text`,
    );
  }
  return { windows, parts: [...parts.values()] };
}

function checkLength(tokens: number, { max_position_embeddings: most }: Checkpoint["config"]): void {
  if (tokens > most) {
    throw new PrunelabError(`calibration windows of ${tokens} tokens; the model sees ${most}; choose shorter ones`);
  }
}

function checkWindows(windows: readonly (readonly number[])[], { config }: Checkpoint): void {
  const length = windows[0]?.length ?? 0;
  if (length < 2) throw new PrunelabError(`invalid calibration; a window of ${length} tokens; give at least 2`);
  checkLength(length, config);
  for (const [index, window] of windows.entries()) {
    if (window.length !== length) {
      throw new PrunelabError(
        `calibration windows differ in length: ${index} has ${window.length} tokens, 0 has ${length}; give one length`,
      );
    }
    const wrong = window.find((id) => !Number.isInteger(id) || id < 0 || id >= config.vocab_size);
    if (wrong !== undefined) {
      throw new PrunelabError(
        `calibration window holds no token id: window ${index}: ${wrong}; ids are below ${config.vocab_size}`,
      );
    }
  }
}

async function readTexts(source: string): Promise<Text[]> {
  const named = (text: string, category: unknown = "") => ({ text, category: String(category) });
  if (source === "dolly") {
    const { rows } = await loadRows(dolly);
    return rows.map(({ row: { category, ...row } }) => named(textOf(row), category)).filter(({ text }) => text !== "");
  }
  if (source.endsWith(".jsonl")) {
    const texts: Text[] = [];
    for await (const { row } of readJsonLines(source)) texts.push(named(textOf(row)));
    return texts.filter(({ text }) => text !== "");
  }
  try {
    return [named(await readFile(source, "utf8"))];
  } catch (error) {
    throw new PrunelabError(
      `cannot read calibration text: ${source}: ${messageOf(error)}; choose dolly, a .jsonl file or a text file`,
      { cause: error },
    );
  }
}

function textOf(row: Readonly<Record<string, unknown>>): string {
  const texts = typeof row.text === "string" ? [row.text] : Object.values(row);
  return texts.filter((value) => typeof value === "string" && value !== "").join("\n");
}

/** Fisher and Yates. */
function shuffle<T>(items: readonly T[], seed: number): T[] {
  const random = mersenne(seed);
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(((random.next() >>> 0) / 2 ** 32) * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled;
}

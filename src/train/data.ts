/** Training windows: rows of prompt and response, or plain text, packed to windows of one length, with a held-out part. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { checkInteger } from "../base/check-integer.ts";
import { throwIfInterrupted } from "../base/interrupted.ts";
import { asReadError } from "../base/read-error.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { dolly } from "../datasets/dolly.ts";
import { readJsonLines } from "../datasets/jsonl.ts";
import { loadRows } from "../datasets/load-rows.ts";
import { PrunelabError } from "../errors.ts";
import { loadTokenizer, type Tokenizer } from "../model/tokenizer.ts";
import { shuffle } from "./random.ts";

/** A prompt and the response that is learnt; plain text is a response without a prompt. */
export interface TrainingRow {
  readonly prompt: string;
  readonly response: string;
}

export interface TrainingDataOptions {
  /**
   * `"dolly"` (Dolly-15k, the default), a `.jsonl` file (rows with `prompt` and `response` or `completion`, or Dolly's `instruction`, `context` and
   * `response`, or `text`), any other file as one text, or rows.
   */
  readonly data?: string | readonly TrainingRow[];
  /** Tokens of a window, BOS among them; 512 unless given, or as many as the model sees if fewer. */
  readonly tokens?: number;
  /** TRL's name: whether the loss counts responses alone, the default, or prompts too. */
  readonly completionOnlyLoss?: boolean;
  /** Windows held out; 8 unless given. */
  readonly heldOut?: number;
  /** Windows to train on at most; all unless given. */
  readonly windows?: number;
  /** Of the order; 0 unless given. */
  readonly seed?: number;
  readonly onNotice?: (line: string) => void;
}

/** Token ids, BOS first; `counts` says of each whether it is a label, which BOS never is. */
export interface TrainingWindow {
  readonly ids: readonly number[];
  readonly counts: readonly boolean[];
}

export interface TrainingData {
  readonly windows: readonly TrainingWindow[];
  /** No training window has 12 tokens in a row in common with one of these. */
  readonly heldOut: readonly TrainingWindow[];
  readonly tokens: number;
  readonly digest: string;
}

const gramTokens = 12;

/**
 * Dolly's row as a prompt. The collection's cards do not say which format they used; this is the plain one of instruction, context where there is
 * one, and response.
 */
export function dollyPrompt(instruction: string, context: string): string {
  const parts = [`Instruction:\n${instruction}`, ...(context === "" ? [] : [`Context:\n${context}`]), "Response:\n"];
  return parts.join("\n\n");
}

/**
 * Rows in a seeded order, each as prompt, response and EOS, one after the other in windows that each begin with BOS; a row that a window cannot
 * hold goes on in the next one; a window without a token that counts, the middle of a long prompt, is left out. The first rows fill the held-out
 * windows.
 *
 * @throws PrunelabError when the source cannot be read, is empty, has no responses or too little text, or the numbers make no sense.
 */
export async function loadTrainingData(
  checkpoint: Checkpoint,
  options: TrainingDataOptions = {},
): Promise<TrainingData> {
  const {
    data = "dolly",
    completionOnlyLoss = true,
    heldOut = 8,
    seed = 0,
    windows: most = Infinity,
    onNotice,
  } = options;
  const { max_position_embeddings: longest } = checkpoint.config;
  const { tokens = Math.min(512, longest) } = options;
  checkInteger("tokens", tokens, 2);
  checkInteger("heldOut", heldOut, 0);
  if (most !== Infinity) checkInteger("windows", most, 1);
  if (tokens > longest) {
    throw new PrunelabError(`training windows of ${tokens} tokens; the model sees ${longest}; choose shorter ones`);
  }
  const where = typeof data === "string" ? data : "rows";
  const rows = typeof data === "string" ? await readRows(data) : data;
  if (rows.length === 0) throw new PrunelabError(`nothing to train on: ${where} is empty; give rows or text`);
  if (rows.every(({ response }) => response.trim() === "")) {
    throw new PrunelabError(`no responses in the data: ${where}; give rows with a response, or text`);
  }
  const tokenizer = loadTokenizer(await checkpoint.tokenizer());
  const bos = tokenizer.prefixTokenId;
  const isText = typeof data === "string" && data !== "dolly" && !data.endsWith(".jsonl");
  const stream = encodeRows(tokenizer, isText ? rows : shuffle(rows, `${seed} rows`), completionOnlyLoss);

  // One without a label teaches nothing and has no loss: the middle of a long prompt.
  let unlabelled = 0;
  const hasLabel = ({ counts }: TrainingWindow) => {
    const has = counts.includes(true);
    if (!has) unlabelled++;
    return has;
  };
  const held = packer(tokens, bos, hasLabel);
  // What does not fit into the last held-out window is not trained on either. (A `for` loop that is left would end the stream.)
  const next = () => stream.next().value as Encoded | undefined;
  while (held.windows.length < heldOut) {
    const row = next();
    if (!row) break;
    held.add(row);
  }
  const heldWindows = held.windows.slice(0, heldOut);
  const grams = gramsOf(heldWindows);
  // Where one row ends and the next begins, a window may have what no row has.
  const isWanted = (window: TrainingWindow) => hasLabel(window) && !sharesGram(window.ids, grams);
  const packed = packer(tokens, bos, (window) => packed.windows.length < most && isWanted(window));
  let [long, dropped] = [0, 0];
  const add = (row: Encoded) => {
    if (sharesGram(row.ids, grams)) dropped++;
    else {
      if (row.ids.length > tokens - 1 && !isText) long++;
      packed.add(row);
    }
  };
  for (let row = next(); row; row = packed.windows.length < most ? next() : undefined) add(row);
  const { windows } = packed;
  if (windows.length === 0 && unlabelled > 0) {
    throw new PrunelabError(`no responses in the windows of ${where}; choose longer windows`);
  }
  if (heldWindows.length < heldOut || windows.length === 0) {
    throw new PrunelabError(
      `too little text to train: ${where} fills ${windows.length} windows of ${tokens} tokens beside ${heldWindows.length} of ${heldOut} held-out ones; give more text, or shorter or fewer windows`,
    );
  }
  if (dropped > 0)
    onNotice?.(`rows left out since they share ${gramTokens} tokens in a row with held-out ones: ${dropped}`);
  if (long > 0) onNotice?.(`rows longer than a window of ${tokens} tokens, which go on in the next one: ${long}`);
  const digest = createHash("sha256")
    .update(JSON.stringify([windows, heldWindows]))
    .digest("hex");
  return { windows, heldOut: heldWindows, tokens, digest };
}

interface Encoded {
  readonly ids: number[];
  readonly counts: boolean[];
}

function* encodeRows(tokenizer: Tokenizer, rows: readonly TrainingRow[], completionOnly: boolean): Generator<Encoded> {
  const encode = (text: string) => (text === "" ? [] : tokenizer.encode(text, { addSpecialTokens: false }));
  for (const { prompt, response } of rows) {
    throwIfInterrupted();
    if (response.trim() === "") continue;
    const [before, after] = [encode(prompt), [...encode(response), tokenizer.specialTokens.eos[1]]];
    yield { ids: [...before, ...after], counts: [...before.map(() => !completionOnly), ...after.map(() => true)] };
  }
}

function packer(tokens: number, bos: number, keeps: (window: TrainingWindow) => boolean) {
  const windows: TrainingWindow[] = [];
  let ids: number[] = [bos];
  let counts = [false];
  const add = (row: Encoded) => {
    for (const [index, id] of row.ids.entries()) {
      ids.push(id);
      counts.push(row.counts[index]!);
      if (ids.length < tokens) continue;
      if (keeps({ ids, counts })) windows.push({ ids, counts });
      ids = [bos];
      counts = [false];
    }
  };
  return { windows, add };
}

/** By their first two tokens, so that most places are told apart without joining. */
function gramsOf(windows: readonly TrainingWindow[]): Map<number, Set<string>> {
  const grams = new Map<number, Set<string>>();
  for (const { ids } of windows) {
    for (let at = 0; at + gramTokens <= ids.length; at++) {
      const key = ids[at]! * 2 ** 24 + ids[at + 1]!;
      const own = grams.get(key) ?? new Set();
      grams.set(key, own.add(ids.slice(at, at + gramTokens).join(" ")));
    }
  }
  return grams;
}

function sharesGram(ids: readonly number[], grams: ReadonlyMap<number, ReadonlySet<string>>): boolean {
  for (let at = 0; at + gramTokens <= ids.length; at++) {
    const own = grams.get(ids[at]! * 2 ** 24 + ids[at + 1]!);
    if (own?.has(ids.slice(at, at + gramTokens).join(" "))) return true;
  }
  return false;
}

async function readRows(source: string): Promise<TrainingRow[]> {
  if (source === "dolly") {
    const { rows } = await loadRows(dolly);
    return rows.map(({ row, place }) => toRow(row, place));
  }
  if (source.endsWith(".jsonl")) {
    const rows: TrainingRow[] = [];
    for await (const { row, place } of readJsonLines(source)) rows.push(toRow(row, place));
    return rows;
  }
  try {
    const text = await readFile(source, "utf8");
    return text.trim() === "" ? [] : [{ prompt: "", response: text }];
  } catch (error) {
    throw asReadError(error, source);
  }
}

function toRow(row: Readonly<Record<string, unknown>>, place: string): TrainingRow {
  const text = (name: string) => (typeof row[name] === "string" ? row[name] : undefined);
  const response = text("response") ?? text("completion");
  const instruction = text("instruction");
  if (instruction !== undefined)
    return { prompt: dollyPrompt(instruction, text("context") ?? ""), response: response ?? "" };
  if (text("prompt") !== undefined) return { prompt: text("prompt")!, response: response ?? "" };
  if (text("text") !== undefined) return { prompt: "", response: text("text")! };
  throw new PrunelabError(
    `no prompt, instruction or text in a row: ${place}: ${Object.keys(row).join(", ")}; name its fields prompt and response`,
  );
}

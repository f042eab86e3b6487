/** Perplexity on fixed windows of tokens, of WikiText-2's above all: the number that papers on pruning and quantisation give. */
import { checkInteger } from "../base/check-integer.ts";
import { type LoadRowsOptions, loadRows } from "../datasets/load-rows.ts";
import { PrunelabError } from "../errors.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { OnProgress } from "../progress.ts";
import { scoredRows } from "../tasks/task.ts";
import { wikitext } from "../tasks/wikitext.ts";
import { meanDifference } from "./mean-difference.ts";

/**
 * exp of minus the mean natural-log probability of each window's tokens after its first, over all windows together. Windows of 2,048
 * tokens of WikiText-2's raw test text, BOS first, give the number that papers call its perplexity.
 *
 * @throws PrunelabError if there is no window, or one of less than two tokens.
 */
export async function perplexity(
  model: LanguageModel,
  windows: readonly (readonly number[])[],
  options: { readonly onProgress?: OnProgress } = {},
): Promise<number> {
  checkWindows(windows);
  return ofSums(await model.loglikelihoodTokens(windows, options), windows);
}

/** A perplexity and its 95 % interval: how far it could move if other windows of such text were taken. Null below six windows. */
export interface PerplexityInterval {
  readonly perplexity: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** The perplexity on windows of one length with its interval. */
export async function perplexityInterval(
  model: LanguageModel,
  windows: readonly (readonly number[])[],
  options: { readonly onProgress?: OnProgress } = {},
): Promise<PerplexityInterval> {
  checkWindows(windows);
  const sums = await model.loglikelihoodTokens(windows, options);
  const losses = sums.map((sum, index) => -sum / (windows[index]!.length - 1));
  const { low, high } = meanDifference(losses, { seed: 0, resamples: 10_000 });
  const exp = (loss: number | null) => (loss === null ? null : Math.exp(loss));
  return { perplexity: ofSums(sums, windows), low: exp(low), high: exp(high) };
}

function checkWindows(windows: readonly (readonly number[])[]): void {
  if (windows.length === 0) {
    throw new PrunelabError("no perplexity of nothing: 0 windows; give at least one, with text enough to fill it");
  }
  const short = windows.findIndex(({ length }) => length < 2);
  if (short >= 0) {
    throw new PrunelabError(`no perplexity of a window of ${windows[short]!.length} tokens: ${short}; give at least 2`);
  }
}

function ofSums(sums: readonly number[], windows: readonly (readonly number[])[]): number {
  const predicted = windows.reduce((count, window) => count + window.length - 1, 0);
  return Math.exp(-sums.reduce((sum, value) => sum + value, 0) / predicted);
}

export interface WikitextPerplexityOptions extends LoadRowsOptions {
  /** Tokens of a window, BOS among them; 2,048 unless given. */
  readonly windowTokens?: number;
  /** Only the first so many windows; all unless given. */
  readonly limit?: number;
  readonly onProgress?: OnProgress;
}

/**
 * exp of the mean negative log-probability of WikiText-2's raw test text, cut into windows that each begin with BOS and see nothing
 * before it, with its 95 % interval over the windows. What is left after the last whole window is not counted. (lm-eval's `wikitext` counts words and bytes instead.)
 *
 * @throws PrunelabError if no source has the text, or the numbers leave no window.
 */
export async function wikitextPerplexity(
  model: LanguageModel,
  { windowTokens = 2048, limit, onProgress, ...options }: WikitextPerplexityOptions = {},
): Promise<PerplexityInterval & { readonly windows: number }> {
  checkInteger("windowTokens", windowTokens, 2);
  if (limit !== undefined) checkInteger("limit", limit, 1);
  const { rows } = await loadRows(scoredRows(wikitext), options);
  // The articles are the raw file but for its first line.
  const ids = model.encode(` \n${rows.map(({ row }) => wikitext.processDoc(row).page).join("\n")}`);
  const [, first] = model.specialTokens.bos ?? model.specialTokens.eos;
  const windows = tokenWindows(ids, first, windowTokens).slice(0, limit);
  return { ...(await perplexityInterval(model, windows, onProgress ? { onProgress } : {})), windows: windows.length };
}

/** Whole windows of `length` tokens: `bos`, then the next `length` − 1 of `ids`. */
export function tokenWindows(ids: readonly number[], bos: number, length: number): number[][] {
  const count = Math.floor(ids.length / (length - 1));
  return Array.from({ length: count }, (_, index) => [
    bos,
    ...ids.slice(index * (length - 1), (index + 1) * (length - 1)),
  ]);
}

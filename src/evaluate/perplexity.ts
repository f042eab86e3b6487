/** Perplexity on fixed windows of tokens, the measure of the pruning literature. */
import { PrunelabError } from "../errors.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { OnProgress } from "../progress.ts";
import { bootstrapMean } from "./bootstrap.ts";
import type { Interval } from "./statistics.ts";

/**
 * exp of minus the mean natural-log probability of each window's tokens after its first, over all windows together. Windows of 2,048
 * tokens of WikiText-2's raw test text, BOS first, give the number that papers call its perplexity.
 *
 * @throws PrunelabError where there is no window, or one of less than two tokens.
 */
export async function perplexity(
  model: LanguageModel,
  windows: readonly (readonly number[])[],
  options: { readonly onProgress?: OnProgress } = {},
): Promise<number> {
  checkWindows(windows);
  return ofSums(await model.loglikelihoodTokens(windows, options), windows);
}

/** The perplexity on windows of one length with a 95 % interval: how far it could move if other windows of such text were taken (bootstrap). */
export async function perplexityInterval(
  model: LanguageModel,
  windows: readonly (readonly number[])[],
  options: { readonly onProgress?: OnProgress } = {},
): Promise<Interval & { readonly perplexity: number }> {
  checkWindows(windows);
  const sums = await model.loglikelihoodTokens(windows, options);
  const losses = sums.map((sum, index) => -sum / (windows[index]!.length - 1));
  const { low, high } = bootstrapMean(losses, { seed: 0, resamples: 10_000 });
  return { perplexity: ofSums(sums, windows), low: Math.exp(low), high: Math.exp(high) };
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

/** Perplexity on fixed windows of tokens, the measure of the pruning literature. */
import type { LanguageModel } from "../model/language-model.ts";
import type { OnProgress } from "../progress.ts";

/**
 * exp of minus the mean natural-log probability of each window's tokens after its first, over all windows together. Windows of 2,048
 * tokens of WikiText-2's raw test text, BOS first, give the number that papers call its perplexity.
 */
export async function perplexity(
  model: LanguageModel,
  windows: readonly (readonly number[])[],
  options: { readonly onProgress?: OnProgress } = {},
): Promise<number> {
  const sums = await model.loglikelihoodTokens(windows, options);
  const predicted = windows.reduce((count, window) => count + window.length - 1, 0);
  return Math.exp(-sums.reduce((sum, value) => sum + value, 0) / predicted);
}

/** WikiText-2's perplexity by token, the number that papers on pruning and quantisation give. */
import { checkInteger } from "../base/check-integer.ts";
import { type LoadRowsOptions, loadRows } from "../datasets/load-rows.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { OnProgress } from "../progress.ts";
import { scoredRows } from "../tasks/task.ts";
import { wikitext } from "../tasks/wikitext.ts";
import { perplexityInterval } from "./perplexity.ts";
import type { Interval } from "./statistics.ts";

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
 * @throws PrunelabError where no source has the text, or the numbers leave no window.
 */
export async function wikitextPerplexity(
  model: LanguageModel,
  { windowTokens = 2048, limit, onProgress, ...options }: WikitextPerplexityOptions = {},
): Promise<Interval & { readonly perplexity: number; readonly windows: number }> {
  checkInteger("windowTokens", windowTokens, 2);
  if (limit !== undefined) checkInteger("limit", limit, 1);
  const { rows } = await loadRows(scoredRows(wikitext), options);
  // The articles are the raw file but for its first line.
  const ids = model.encode(` \n${rows.map(({ row }) => wikitext.processDoc(row).page).join("\n")}`);
  const windows = tokenWindows(ids, (model.specialTokens.bos ?? model.specialTokens.eos)[1], windowTokens).slice(
    0,
    limit,
  );
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

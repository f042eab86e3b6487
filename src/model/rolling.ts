/** Cuts a text of any length into windows that a model can see, each token predicted once. */
import type { ScoredSequence } from "./encode.ts";

/**
 * lm-evaluation-harness's windows (0.4.13: `get_rolling_token_windows` with a context of one token, `make_disjoint_window`): the first
 * one predicts `maxLength` tokens after the prefix, each further one as many after the last token before them; the last window
 * sees as many tokens before its own as fit.
 *
 * @param tokens All tokens of the text, each of which is predicted.
 * @param prefix The token before the first.
 */
export function rollingWindows(tokens: readonly number[], prefix: number, maxLength: number): ScoredSequence[] {
  const all = [prefix, ...tokens];
  const windows: ScoredSequence[] = [];
  for (let from = 1; from < all.length; from += maxLength) {
    const to = Math.min(from + maxLength, all.length);
    const start = Math.max(0, to - 1 - maxLength);
    windows.push({ tokens: all.slice(start, to), start: from - start });
  }
  return windows;
}

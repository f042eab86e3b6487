/** Recovers a byte-pair encoding's merges from a SentencePiece vocabulary, which stores a score per token instead. */

export type Merge = [left: string, right: string];

/**
 * Every way to put a token together from two tokens, best first: by the whole token's score, then by the longer left
 * piece, then by the longer right piece, then by id. This is the order that transformers' conversion of SentencePiece
 * models gives (`generate_merges` in its `tokenization_utils_base.py`), lengths counted in code points.
 *
 * @param tokens Distinct, in the order of their ids.
 * @param scores One per token; `undefined` for a token that no merge makes (it can still be a piece).
 */
export function mergesFromScores(tokens: readonly string[], scores: readonly (number | undefined)[]): Merge[] {
  const vocabulary = new Set(tokens);
  const scoreOf = Float64Array.from(scores, (score) => score ?? Number.NEGATIVE_INFINITY);
  const made = Uint32Array.from(tokens.keys()).filter((id) => scores[id] !== undefined);
  made.sort((a, b) => scoreOf[b]! - scoreOf[a]! || a - b);

  const merges: Merge[] = [];
  for (let start = 0, end = 0; start < made.length; start = end) {
    const first = merges.length;
    for (; end < made.length && scoreOf[made[end]!] === scoreOf[made[start]!]; end++) {
      addSplits(tokens[made[end]!]!, vocabulary, merges);
    }
    if (end - start > 1) {
      const tied = merges
        .splice(first)
        .map((merge) => ({ merge, left: codePoints(merge[0]), right: codePoints(merge[1]) }));
      tied.sort((a, b) => b.left - a.left || b.right - a.right);
      for (const { merge } of tied) merges.push(merge);
    }
  }
  return merges;
}

/** Adds the splits of `token` into two of `vocabulary`, the longest left piece first. */
function addSplits(token: string, vocabulary: ReadonlySet<string>, merges: Merge[]): void {
  for (let at = token.length - 1; at > 0; at--) {
    // Between the halves of a surrogate pair there is no border of code points.
    if ((token.charCodeAt(at) & 0xfc00) === 0xdc00) continue;
    const right = token.slice(at);
    if (!vocabulary.has(right)) continue;
    const left = token.slice(0, at);
    if (vocabulary.has(left)) merges.push([left, right]);
  }
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

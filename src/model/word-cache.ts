/** Remembers the tokens of words, so that texts that repeat words (prompts do) are encoded several times faster. */

/** A run of spaces with what follows up to the next space. */
const word = / +[^ ]*|[^ ]+/g;
const spaceMark = "\u2581";

/** Above this a vocabulary does not keep words apart, and testing each text would cost more than it saves. */
const mostCrossings = 16;
const longestWord = 64;
const mostWords = 100_000;

type Encode = (text: string) => number[];
type AppendTokens = (text: string, ids: number[]) => void;

/**
 * Gives a function that appends the ids of a text to `ids`, the same ones as `encode` gives for the whole text.
 *
 * A byte-pair encoding that marks spaces instead of splitting at them has to look at a whole line at once. But where no token
 * holds a space after another character, no merge ever reaches across the start of a space, so each word can be encoded alone.
 * Gemma 3 has one such token, `">▁</"`: texts that hold one, or the mark itself, go to `encode` whole, as does any
 * tokenizer built otherwise.
 *
 * @param tokenizer `tokenizer.json`, parsed.
 * @param encode The ids of a text, without special tokens added.
 */
export function encodeByWords(tokenizer: Readonly<Record<string, unknown>>, encode: Encode): AppendTokens {
  const crossings = crossingTokens(tokenizer);
  const appendWhole: AppendTokens = (text, ids) => {
    for (const id of encode(text)) ids.push(id);
  };
  if (crossings === undefined) return appendWhole;

  const known = new Map<string, readonly number[]>();
  return (text, ids) => {
    if (text.includes(spaceMark) || crossings.some((token) => text.includes(token))) return appendWhole(text, ids);
    for (const [part] of text.matchAll(word)) {
      let tokens = known.get(part);
      if (tokens === undefined) {
        tokens = encode(part);
        if (known.size === mostWords) known.clear();
        if (part.length <= longestWord) known.set(part, tokens);
      }
      for (const id of tokens) ids.push(id);
    }
  };
}

/** The tokens, spaces unmarked, that hold a space after another character; undefined where words cannot be encoded alone. */
function crossingTokens(tokenizer: Readonly<Record<string, unknown>>): string[] | undefined {
  const { normalizer, pre_tokenizer, added_tokens, model } = tokenizer as {
    normalizer?: { type?: string; pattern?: { String?: string }; content?: string } | null;
    pre_tokenizer?: { type?: string; pattern?: { String?: string } } | null;
    added_tokens?: readonly { content: string; lstrip?: boolean; rstrip?: boolean }[];
    model?: { type?: string; vocab?: Record<string, number>; byte_fallback?: boolean; ignore_merges?: boolean };
  };
  const marksSpaces =
    normalizer?.type === "Replace" && normalizer.pattern?.String === " " && normalizer.content === spaceMark;
  // By then there is no space left to split at.
  const splitsNothing = !pre_tokenizer || (pre_tokenizer.type === "Split" && pre_tokenizer.pattern?.String === " ");
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const vocabulary = model?.vocab ?? {};
  // Without all bytes there are unknown tokens, which fuse across words.
  const neverUnknown = model?.byte_fallback === true && bytes.every((byte) => Object.hasOwn(vocabulary, byte));
  const strips = (added_tokens ?? []).some(({ lstrip, rstrip }) => lstrip || rstrip);
  if (!marksSpaces || !splitsNothing || model?.type !== "BPE" || model.ignore_merges || !neverUnknown || strips)
    return undefined;

  const crossings = [...Object.keys(vocabulary), ...(added_tokens ?? []).map(({ content }) => content)]
    .filter((token) => /[^ \u2581][ \u2581]/u.test(token))
    .map((token) => token.replaceAll(spaceMark, " "));
  return crossings.length > mostCrossings ? undefined : [...new Set(crossings)];
}

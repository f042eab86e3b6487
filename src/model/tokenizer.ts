/** Text to token ids and back, by `tokenizer.json` and `tokenizer_config.json`. */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import type { SpecialTokens, TokenizerFiles } from "../checkpoint/checkpoint.ts";
import { specialTokensOf } from "../checkpoint/tokenizer-facts.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { encodeByWords } from "./word-cache.ts";

export interface Tokenizer {
  readonly specialTokens: SpecialTokens;
  /** What stands before a text's first token: BOS, or EOS if there is none (lm-evaluation-harness's `prefix_token_id`). */
  readonly prefixTokenId: number;
  /**
   * Token ids as transformers gives them: BOS first if tokenizer.json says so, also when the text itself begins with BOS; text that spells a special
   * token becomes that token. A lone surrogate, which has no UTF-8, counts as U+FFFD.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * The text of `ids`; ids outside the vocabulary read as the unknown token. Bytes that are no UTF-8 read as U+FFFD by the
   * rules of the web, which gives fewer of them than Python's tokenizers, where a whole run of bytes turns into U+FFFD.
   */
  decode(ids: readonly number[], options?: DecodeOptions): string;
}

export interface EncodeOptions {
  /** Whether to put BOS first; true unless given. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Whether to leave out BOS, EOS, PAD, the marks of turns and images; false unless given. */
  readonly skipSpecialTokens?: boolean;
}

/**
 * Loads a tokenizer; takes about a second for Gemma's 262,144 tokens and 514,906 merges. Nothing is read from disk or network.
 *
 * @throws PrunelabError when the files are not a tokenizer's, or name no EOS, or a special token that is not there.
 */
export function loadTokenizer({ tokenizer, tokenizerConfig }: TokenizerFiles): Tokenizer {
  let library: HuggingFaceTokenizer;
  try {
    library = new HuggingFaceTokenizer(tokenizer, tokenizerConfig);
  } catch (error) {
    throw new PrunelabError(`tokenizer.json cannot be used: ${messageOf(error)}; download it again`, { cause: error });
  }
  const specialTokens = specialTokensOf({ tokenizer, tokenizerConfig });
  const { bos, eos } = specialTokens;
  const prefixTokenId = (bos ?? eos)[1];
  const added = library.encode("").ids;
  if (added.length > 1 || (added.length === 1 && added[0] !== bos?.[1])) {
    throw new PrunelabError(
      `tokenizer.json adds other tokens than a leading BOS; no supported model does, check the file: ${added.join(", ")}`,
    );
  }
  keepByteOrderMarks(library.decoder);
  const encodeText = encodeByWords(tokenizer, (text) => library.encode(text, { add_special_tokens: false }).ids);
  return {
    specialTokens,
    prefixTokenId,
    encode(text, { addSpecialTokens = true } = {}) {
      const ids = addSpecialTokens ? [...added] : [];
      encodeText(text.replace(/\p{Surrogate}/gu, "\ufffd"), ids);
      return ids;
    },
    decode(ids, { skipSpecialTokens = false } = {}) {
      // The library refuses an empty list.
      return ids.length === 0 ? "" : library.decode([...ids], { skip_special_tokens: skipSpecialTokens });
    },
  };
}

/**
 * Ids of a text that starts an input, by lm-evaluation-harness's rule (0.4.13: `HFLM.tok_encode`): BOS first, but not
 * twice where the text begins with the text of BOS.
 */
export function encodePrompt(tokenizer: Tokenizer, text: string): number[] {
  const { bos } = tokenizer.specialTokens;
  return tokenizer.encode(text, { addSpecialTokens: !(bos && text.startsWith(bos[0])) });
}

/** Makes the library's decoders of bytes keep a leading U+FEFF, as Python's do. */
function keepByteOrderMarks(decoder: unknown): void {
  if (typeof decoder !== "object" || decoder === null) return;
  const { decoders = [] } = decoder as { readonly decoders?: readonly unknown[] };
  if ("text_decoder" in decoder) decoder.text_decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const inner of decoders) keepByteOrderMarks(inner);
}

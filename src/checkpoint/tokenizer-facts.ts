/** What scoring needs to know of a tokenizer before it encodes anything. */
import { createHash } from "node:crypto";
import { PrunelabError } from "../errors.ts";
import type { SpecialTokens, TokenizerFacts, TokenizerFiles } from "./checkpoint.ts";

/** @throws PrunelabError as {@link specialTokensOf} does. */
export function factsOf(files: TokenizerFiles): TokenizerFacts {
  const { chat_template } = files.tokenizerConfig;
  return {
    specialTokens: specialTokensOf(files),
    ...(chat_template !== undefined && chat_template !== null && { chatTemplate: chat_template }),
    digest: createHash("sha256").update(JSON.stringify(files)).digest("hex"),
  };
}

export function isFacts(value: unknown): value is TokenizerFacts {
  const { specialTokens, digest } = (value ?? {}) as Partial<TokenizerFacts>;
  return typeof digest === "string" && Array.isArray(specialTokens?.eos) && Array.isArray(specialTokens.pad);
}

/**
 * The special tokens that the files name.
 *
 * @throws PrunelabError when they name no EOS, or a token that is not there.
 */
export function specialTokensOf({ tokenizer, tokenizerConfig }: TokenizerFiles): SpecialTokens {
  const { added_tokens, model } = tokenizer as {
    added_tokens?: readonly { content: string; id: number }[];
    model?: { vocab?: Record<string, number> } | null;
  };
  const special = (key: string): readonly [string, number] | null => {
    const entry = tokenizerConfig[key];
    // Older files write an object with the token's flags.
    const text = typeof entry === "object" ? (entry as { content?: unknown } | null)?.content : entry;
    if (text === undefined || text === null) return null;
    const id = added_tokens?.find(({ content }) => content === text)?.id ?? model?.vocab?.[String(text)];
    if (typeof text === "string" && typeof id === "number") return [text, id];
    throw new PrunelabError(`tokenizer_config.json names no known ${key}: ${JSON.stringify(entry)}; download it again`);
  };
  const bos = special("bos_token");
  const eos = special("eos_token");
  if (!eos) throw new PrunelabError("tokenizer_config.json names no known eos_token: missing; download it again");
  return { pad: special("pad_token") ?? special("unk_token") ?? eos, eos, bos };
}

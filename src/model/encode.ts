/**
 * Splits a request into tokens of context and continuation by lm-evaluation-harness's rules
 * (0.4.13: `TemplateLM._encode_pair` and `loglikelihood` in `api/model.py`, `_loglikelihood_tokens` in `models/huggingface.py`).
 */
import { PrunelabError } from "../errors.ts";
import { stripEnd } from "../python/text.ts";
import type { LoglikelihoodRequest } from "./language-model.ts";
import { encodePrompt, type Tokenizer } from "./tokenizer.ts";

/** The tokens of one request; those from `start` on are scored. At least one token stands before `start`. */
export interface ScoredSequence {
  readonly tokens: readonly number[];
  readonly start: number;
}

/**
 * Tokens of context and continuation, cut on the left to what the model can see.
 * Where the two texts would merge into one token, the context keeps its own tokens, and the continuation is what the tokens of both
 * together have behind as many.
 */
export function encodeRequest(tokenizer: Tokenizer, request: LoglikelihoodRequest, maxLength: number): ScoredSequence {
  let { context, continuation } = request;
  let tokens: readonly number[];
  let start: number;
  if (context === "") {
    const prefix = tokenizer.prefixTokenId;
    const encoded = tokenizer.encode(continuation, { addSpecialTokens: false });
    tokens = encoded[0] === prefix ? encoded : [prefix, ...encoded];
    start = 1;
  } else {
    const stripped = stripEnd(context);
    continuation = context.slice(stripped.length) + continuation;
    context = stripped;
    const before = encodePrompt(tokenizer, context);
    start = before.length;
    tokens = [...before, ...encodePrompt(tokenizer, context + continuation).slice(start)];
  }
  if (start < 1 || start >= tokens.length) {
    throw new PrunelabError(
      `continuation without tokens; nothing to score: ${JSON.stringify(continuation)} after ${JSON.stringify(context.slice(-40))}`,
    );
  }
  // One token more than the model sees: the last one is only predicted.
  const cut = Math.max(0, tokens.length - (maxLength + 1));
  if (start - cut < 1) {
    throw new PrunelabError(
      `continuation too long; the model sees ${maxLength} tokens: ${tokens.length - start} tokens, ${JSON.stringify(continuation.slice(0, 40))}…`,
    );
  }
  return { tokens: tokens.slice(cut), start: start - cut };
}

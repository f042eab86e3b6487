/** The tokens of a `tokenizer.json` in the order of their ids, with the types and scores that SentencePiece and llama.cpp give them. */
import type { TokenizerFiles } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";

/** SentencePiece's and llama.cpp's numbers. */
export const tokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** What llama.cpp's converter writes for tokens that no merge makes. */
export const userDefinedScore = -1000;

export interface TokenList {
  /** As many as the embedding has rows. */
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly ids: ReadonlyMap<string, number>;
  /** Best first. */
  readonly merges: readonly (readonly [string, string])[];
}

interface BpeModel {
  readonly type?: string;
  readonly vocab?: Readonly<Record<string, number>>;
  readonly merges?: readonly (string | readonly [string, string])[];
  readonly unk_token?: string | null;
  readonly byte_fallback?: boolean;
}

/** Whether a tokenizer is SentencePiece's kind, with bytes as tokens for what is in no other. */
export function isPieces({ model }: Readonly<Record<string, unknown>>): boolean {
  return (model as BpeModel | undefined)?.byte_fallback === true;
}

/**
 * @param size The embedding's rows: tokens beyond are left out, rows without a token get an unused one.
 * @throws PrunelabError where the tokenizer is no BPE, or names a token twice.
 */
export function tokenList({ tokenizer }: TokenizerFiles, size: number, where: string): TokenList {
  const model = tokenizer.model as BpeModel | undefined;
  if (model?.type !== "BPE" || model.vocab === undefined || model.merges === undefined) {
    throw new PrunelabError(
      `unsupported tokenizer: ${where}: ${JSON.stringify(model?.type ?? "none")}; this form needs byte-pair encoding (BPE)`,
    );
  }
  const tokens = new Array<string | undefined>(size).fill(undefined);
  const types = new Array<number>(size).fill(tokenType.unused);
  const isByte = (token: string) => isPieces(tokenizer) && /^<0x[0-9A-F]{2}>$/.test(token);
  for (const [token, id] of Object.entries(model.vocab)) {
    if (id >= size) continue;
    tokens[id] = token;
    types[id] = token === model.unk_token ? tokenType.unknown : isByte(token) ? tokenType.byte : tokenType.normal;
  }
  for (const { id, content, special } of (tokenizer.added_tokens ?? []) as AddedToken[]) {
    if (id >= size) continue;
    tokens[id] = content;
    types[id] = special ? tokenType.control : tokenType.userDefined;
  }
  const named = tokens.map((token, id) => token ?? `[PAD${id}]`);
  const ids = new Map(named.map((token, id) => [token, id]));
  if (ids.size < size) {
    const twice = named.findIndex((token, id) => ids.get(token) !== id);
    throw new PrunelabError(
      `tokenizer.json of ${where} has the token ${JSON.stringify(named[twice])} twice, as ${twice} and ${ids.get(named[twice]!)}; save it again`,
    );
  }
  const merges = model.merges.map((merge) => {
    if (typeof merge !== "string") return merge;
    const at = merge.indexOf(" ", 1);
    return [merge.slice(0, at), merge.slice(at + 1)] as const;
  });
  return { tokens: named, types, ids, merges };
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/**
 * A score for each token, from which the merges follow again: SentencePiece keeps no merges, and puts together first what has the highest score.
 * It is minus the place of the first merge that makes the token; for what no merge makes the lowest.
 */
export function scoresOf({ tokens, types, merges }: TokenList): number[] {
  const first = new Map<string, number>();
  for (const [place, [left, right]] of merges.entries()) {
    const made = left + right;
    if (!first.has(made)) first.set(made, place);
  }
  return tokens.map((token, id) => (types[id] === tokenType.byte ? 0 : 0 - (first.get(token) ?? merges.length)));
}

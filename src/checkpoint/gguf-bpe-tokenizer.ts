/** Builds `tokenizer.json` and `tokenizer_config.json` of a byte-level BPE (Llama 3, SmolLM2, Qwen, OLMo) from the metadata of a GGUF. */
import type { TokenizerFiles } from "./checkpoint.ts";
import { list, prependToken, wrong } from "./gguf-tokenizer.ts";

/** `tokenizer.ggml.token_type` (llama.cpp's `llama_token_type`). */
const controlType = 3;
const userDefinedType = 4;

/** How a text is cut before merges are applied: what the published tokenizer.json files have for `tokenizer.ggml.pre`. */
interface Splitting {
  readonly normalizer: Record<string, unknown> | null;
  readonly preTokenizer: Record<string, unknown>;
  /** Whether a whole word that is a token is taken as it is. */
  readonly ignoreMerges?: true;
}

const byteLevel = (use_regex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
});

/** cl100k's expression, with numbers in groups of up to so many digits. */
const splitByRegex = (numbers: string): Record<string, unknown> => ({
  type: "Sequence",
  pretokenizers: [
    {
      type: "Split",
      pattern: {
        Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
      },
      behavior: "Isolated",
      invert: false,
    },
    byteLevel(false),
  ],
});

const gpt2: Splitting = { normalizer: null, preTokenizer: byteLevel(true) };
const llama3: Splitting = { normalizer: null, preTokenizer: splitByRegex("\\p{N}{1,3}"), ignoreMerges: true };

/** By `tokenizer.ggml.pre`. */
const splittings: Readonly<Record<string, Splitting>> = {
  "gpt-2": gpt2,
  olmo: gpt2,
  smollm: {
    normalizer: null,
    preTokenizer: { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel(true)] },
  },
  "llama-bpe": llama3,
  // OLMo 2's.
  dbrx: { normalizer: null, preTokenizer: splitByRegex("\\p{N}{1,3}") },
  qwen2: { normalizer: { type: "NFC" }, preTokenizer: splitByRegex("\\p{N}") },
};

/** What a GGUF calls the way in which a `tokenizer.json` cuts texts; undefined if it is none of the table's. */
export function splittingName(tokenizer: Readonly<Record<string, unknown>>): string | undefined {
  const asText = (normalizer: unknown, preTokenizer: unknown) =>
    // Offsets are not ids.
    JSON.stringify([normalizer ?? null, preTokenizer], (_key, value) =>
      value?.type === "ByteLevel" ? [value.add_prefix_space, value.use_regex ?? true] : value,
    );
  const { ignore_merges } = (tokenizer.model ?? {}) as { ignore_merges?: boolean };
  const own = asText(tokenizer.normalizer, tokenizer.pre_tokenizer);
  return Object.entries(splittings).find(
    ([, { normalizer, preTokenizer, ignoreMerges }]) =>
      asText(normalizer, preTokenizer) === own && (ignoreMerges ?? false) === (ignore_merges ?? false),
  )?.[0];
}

/**
 * The tokenizer of a GGUF with `tokenizer.ggml.model` "gpt2".
 *
 * @throws PrunelabError when the tokenizer is missing, inconsistent, or cuts texts in a way that is not known.
 */
export function bpeTokenizerFiles(metadata: Readonly<Record<string, unknown>>): TokenizerFiles {
  const pre = metadata["tokenizer.ggml.pre"];
  const splitting = Object.hasOwn(splittings, String(pre)) ? splittings[String(pre)]! : undefined;
  if (!splitting) {
    throw wrong(`has tokenizer.ggml.pre ${JSON.stringify(pre)}; Prunelab knows ${Object.keys(splittings).join(", ")}`);
  }
  const tokens = list(metadata, "tokens", "string");
  const types = list(metadata, "token_type", "number", tokens.length);
  const merges = list(metadata, "merges", "string").map((merge) => {
    // A token may hold a space of its own only at its start.
    const at = merge.indexOf(" ", 1);
    return [merge.slice(0, at), merge.slice(at + 1)];
  });
  const ids = new Map(tokens.map((token, id) => [token, id]));
  if (ids.size < tokens.length) {
    const twice = tokens.findIndex((token, id) => ids.get(token) !== id);
    throw wrong(`has the token ${JSON.stringify(tokens[twice])} twice, as ${twice} and ${ids.get(tokens[twice]!)}`);
  }
  const special = (key: string): string | undefined => {
    const id = metadata[`tokenizer.ggml.${key}_token_id`];
    if (id === undefined) return undefined;
    const token = tokens[Number(id)];
    if (token === undefined) throw wrong(`has no token for tokenizer.ggml.${key}_token_id ${id}`);
    return token;
  };
  const [bos, eos, pad, unknown] = [special("bos"), special("eos"), special("padding"), special("unknown")];
  if (eos === undefined) throw wrong("has no tokenizer.ggml.eos_token_id");
  // llama.cpp's default for this kind of tokenizer, but for Llama 3.
  const addBos = bos !== undefined && (metadata["tokenizer.ggml.add_bos_token"] ?? pre === "llama-bpe") === true;
  const contextLength = metadata[`${metadata["general.architecture"]}.context_length`];
  const chatTemplate = metadata["tokenizer.chat_template"];
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: tokens
        .map((content, id) => ({
          id,
          content,
          single_word: false,
          lstrip: false,
          rstrip: false,
          normalized: false,
          special: types[id] === controlType,
        }))
        .filter(({ id }) => types[id] === controlType || types[id] === userDefinedType),
      normalizer: splitting.normalizer,
      pre_tokenizer: splitting.preTokenizer,
      post_processor: addBos ? prependToken(bos, ids.get(bos)!, true) : null,
      decoder: { ...byteLevel(true), add_prefix_space: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: splitting.ignoreMerges ?? false,
        vocab: Object.fromEntries(ids),
        merges,
      },
    },
    tokenizerConfig: {
      add_prefix_space: false,
      ...(bos === undefined ? {} : { bos_token: bos }),
      clean_up_tokenization_spaces: false,
      eos_token: eos,
      ...(typeof contextLength === "number" ? { model_max_length: contextLength } : {}),
      ...(pad === undefined ? {} : { pad_token: pad }),
      tokenizer_class: "PreTrainedTokenizerFast",
      ...(unknown === undefined ? {} : { unk_token: unknown }),
      ...(typeof chatTemplate === "string" ? { chat_template: chatTemplate } : {}),
    },
  };
}

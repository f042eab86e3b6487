/** Builds `tokenizer.json` and `tokenizer_config.json` of a SentencePiece vocabulary (Gemma 3, TinyLlama) from the metadata of a GGUF. */
import { PrunelabError } from "../errors.ts";
import { mergesFromScores } from "./bpe-merges.ts";
import type { TokenizerFiles } from "./checkpoint.ts";

/** `tokenizer.ggml.token_type` (llama.cpp's `llama_token_type`); what is left out here is 2 unknown, 3 control, 5 unused. */
const controlType = 3;
const normalType = 1;
const userDefinedType = 4;
const byteType = 6;

/** What stands for a space inside a token. */
const spaceMark = "\u2581";
const markSpaces = { type: "Replace", pattern: { String: " " }, content: spaceMark };

/** The tokens that Gemma 3's own tokenizer calls special, i.e. that decoding can skip; a GGUF does not keep the difference. */
const specialTexts: readonly string[] = [
  "<pad>",
  "<eos>",
  "<bos>",
  "<unk>",
  "<start_of_turn>",
  "<end_of_turn>",
  "<start_of_image>",
  "<end_of_image>",
];

/**
 * The tokenizer of a GGUF with `tokenizer.ggml.model` "llama", as the files that Hugging Face's tokenizers, transformers and transformers.js load. A
 * text gets a space in front where llama.cpp puts one: unless the file says otherwise, with every architecture but Gemma 3.
 *
 * Of Gemma 3, equal to the published files, vocabulary and merges to the last entry, save one: `<image_soft_token>` is left out, since its id
 * 262,144 lies beyond the text model's embedding.
 *
 * @param metadata By GGUF's own keys.
 * @throws PrunelabError when the tokenizer is missing, inconsistent, or puts EOS behind a text.
 */
export function tokenizerFilesFromGguf(metadata: Readonly<Record<string, unknown>>): TokenizerFiles {
  const model = metadata["tokenizer.ggml.model"];
  const isGemma = (metadata["general.architecture"] ?? "gemma3") === "gemma3";
  const name = isGemma ? "Gemma 3" : "a SentencePiece vocabulary";
  if (model !== "llama") throw wrong(`has tokenizer.ggml.model ${JSON.stringify(model)}, where ${name} has "llama"`);
  const flag = (key: string, fallback: boolean) => (metadata[`tokenizer.ggml.${key}`] ?? fallback) === true;
  const addsSpace = flag("add_space_prefix", !isGemma);
  for (const [key, isSet] of [
    ["add_space_prefix", isGemma && addsSpace],
    ["add_eos_token", flag("add_eos_token", false)],
  ] as const) {
    if (isSet)
      throw wrong(`sets tokenizer.ggml.${key}, which ${isGemma ? "Gemma 3 does not" : "no supported model does"}`);
  }
  const stored = list(metadata, "tokens", "string");
  const scores = list(metadata, "scores", "number", stored.length);
  const types = list(metadata, "token_type", "number", stored.length);
  // llama.cpp's converter writes user-defined runs of spaces as spaces; text reaches the merges with spaces marked.
  const tokens = stored.map((token, id) => (types[id] === userDefinedType ? token.replaceAll(" ", spaceMark) : token));
  const ids = new Map(tokens.map((token, id) => [token, id]));
  if (ids.size < tokens.length) {
    const twice = tokens.findIndex((token, id) => ids.get(token) !== id);
    throw wrong(`has the token ${JSON.stringify(tokens[twice])} twice, as ${twice} and ${ids.get(tokens[twice]!)}`);
  }

  const special = (key: string, fallback: string): string => {
    const id = metadata[`tokenizer.ggml.${key}_token_id`] ?? ids.get(fallback);
    const token = tokens[Number(id)];
    if (token === undefined) throw wrong(`has no token for tokenizer.ggml.${key}_token_id ${id ?? "(missing)"}`);
    return token;
  };
  const bos = special("bos", isGemma ? "<bos>" : "<s>");
  const eos = special("eos", isGemma ? "<eos>" : "</s>");
  const unknown = special("unknown", "<unk>");
  // Llama's own has none.
  const hasPad = isGemma || metadata["tokenizer.ggml.padding_token_id"] !== undefined;
  const pad = hasPad ? special("padding", "<pad>") : unknown;
  const controls = isGemma ? specialTexts : tokens.filter((_, id) => types[id] === controlType);
  const specialTokens = new Set([...controls, bos, eos, pad, unknown]);
  const addBos = metadata["tokenizer.ggml.add_bos_token"] !== false;

  const merges = mergesFromScores(
    tokens,
    // The converter writes -1000 for user-defined tokens; in SentencePiece they come before all others, at 0.
    // Control tokens and bytes are never put together from text.
    types.map((type, id) => (type === normalType ? scores[id] : type === userDefinedType ? 0 : undefined)),
  );
  const contextLength = metadata[`${metadata["general.architecture"] ?? "gemma3"}.context_length`];
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
          special: specialTokens.has(content),
        }))
        .filter(({ id }) => types[id] !== normalType && types[id] !== byteType),
      normalizer: addsSpace
        ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: spaceMark }, markSpaces] }
        : markSpaces,
      pre_tokenizer: addsSpace
        ? null
        : { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false },
      post_processor: prependToken(bos, ids.get(bos)!, addBos),
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: spaceMark }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          ...(addsSpace ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
        ],
      },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: unknown,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: true,
        ignore_merges: false,
        // fromEntries, not assignment: a token may be spelled "__proto__".
        vocab: Object.fromEntries(ids),
        merges,
      },
    },
    tokenizerConfig: {
      add_bos_token: addBos,
      add_eos_token: false,
      bos_token: bos,
      clean_up_tokenization_spaces: false,
      eos_token: eos,
      ...(typeof contextLength === "number" ? { model_max_length: contextLength } : {}),
      ...(hasPad ? { pad_token: pad } : {}),
      padding_side: "left",
      spaces_between_special_tokens: false,
      tokenizer_class: isGemma ? "GemmaTokenizer" : "PreTrainedTokenizerFast",
      unk_token: unknown,
      use_default_system_prompt: false,
      ...(typeof chatTemplate === "string" ? { chat_template: chatTemplate } : {}),
    },
  };
}

/** A post-processor that puts BOS before each text, or nothing. */
export function prependToken(bos: string, bosId: number, addBos: boolean): Record<string, unknown> {
  const part = (id: string, type_id: number) => [
    ...(addBos ? [{ SpecialToken: { id: bos, type_id } }] : []),
    { Sequence: { id, type_id } },
  ];
  return {
    type: "TemplateProcessing",
    single: part("A", 0),
    pair: [...part("A", 0), ...part("B", 1)],
    special_tokens: addBos ? { [bos]: { id: bos, ids: [bosId], tokens: [bos] } } : {},
  };
}

interface Elements {
  string: string;
  number: number;
}

export function list<T extends keyof Elements>(
  metadata: Readonly<Record<string, unknown>>,
  name: string,
  type: T,
  length?: number,
): readonly Elements[T][] {
  const key = `tokenizer.ggml.${name}`;
  const value = metadata[key];
  if (!Array.isArray(value)) throw wrong(`has no ${key}`);
  const at = value.findIndex((item) => typeof item !== type || Number.isNaN(item));
  if (at >= 0) throw wrong(`has ${value[at]} in ${key} at ${at}, where a ${type} belongs`);
  if (length !== undefined && value.length !== length) {
    throw wrong(`has ${value.length} values in ${key} for ${length} tokens`);
  }
  return value;
}

export function wrong(what: string): PrunelabError {
  return new PrunelabError(`gguf ${what}; convert the model again with llama.cpp's convert_hf_to_gguf.py`);
}

/** A tokenizer as llama.cpp has it: tokens with their types, and scores or merges. */
import type { Checkpoint, TokenizerFiles } from "../checkpoint/checkpoint.ts";
import { splittingName } from "../checkpoint/gguf-bpe-tokenizer.ts";
import { PrunelabError } from "../errors.ts";
import type { GgufMetadata, GgufValue } from "./gguf-file.ts";
import { isPieces, scoresOf, type TokenList, tokenList, tokenType, userDefinedScore } from "./token-list.ts";

/** The keys `tokenizer.*`. @throws PrunelabError where the tokenizer is of a kind that llama.cpp has not, or unfit for the model. */
export async function tokenizerMetadata(checkpoint: Checkpoint): Promise<GgufMetadata> {
  const files = await checkpoint.tokenizer();
  const origin = checkpoint.gguf?.metadata;
  // What the model came with, to the letter: a GGUF holds more than the two files that are made of it.
  if (origin?.["tokenizer.ggml.tokens"]) return copied(origin);
  const list = tokenList(files, checkpoint.config.vocab_size, checkpoint.name);
  const { tokens, types } = list;
  const isSentencePiece = isPieces(files.tokenizer);
  return {
    "tokenizer.ggml.model": { type: "string", value: isSentencePiece ? "llama" : "gpt2" },
    "tokenizer.ggml.pre": {
      type: "string",
      value: isSentencePiece ? "default" : splittingOf(files, checkpoint.name),
    },
    "tokenizer.ggml.tokens": {
      type: "strings",
      // llama.cpp's converter gives runs of spaces as such.
      value: tokens.map((token, id) =>
        isSentencePiece && types[id] === tokenType.userDefined ? token.replaceAll("\u2581", " ") : token,
      ),
    },
    ...(isSentencePiece
      ? { "tokenizer.ggml.scores": { type: "f32s", value: ggufScores(list) } }
      : { "tokenizer.ggml.merges": { type: "strings", value: list.merges.map((pair) => pair.join(" ")) } }),
    "tokenizer.ggml.token_type": { type: "i32s", value: types },
    ...specialTokens(checkpoint, list, files),
    // The loader's own default puts a space in front of each text.
    ...(isSentencePiece && { "tokenizer.ggml.add_space_prefix": { type: "bool", value: prependsSpace(files) } }),
    ...chatTemplate(files),
  };
}

function ggufScores(list: TokenList): number[] {
  const isMade = (id: number) => list.types[id] === tokenType.normal || list.types[id] === tokenType.byte;
  return scoresOf(list).map((score, id) => (isMade(id) ? score : userDefinedScore));
}

function splittingOf({ tokenizer }: TokenizerFiles, name: string): string {
  const found = splittingName(tokenizer);
  if (found !== undefined) return found;
  throw new PrunelabError(
    `no gguf of ${name}: its tokenizer.json cuts texts in a way that llama.cpp has no name for, or Prunelab does not know it; ` +
      "write safetensors:bf16 and convert that with llama.cpp's convert_hf_to_gguf.py",
  );
}

/** A token of `tokenizer_config.json`, which may be an object. */
export function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

function specialTokens({ config }: Checkpoint, { ids }: TokenList, { tokenizer, tokenizerConfig }: TokenizerFiles) {
  const metadata: Record<string, GgufValue> = {};
  const add = (key: string, id: number | null | undefined) => {
    if (id !== undefined && id !== null) metadata[`tokenizer.ggml.${key}_token_id`] = { type: "u32", value: id };
  };
  const named = (key: string) => ids.get(tokenText(tokenizerConfig[`${key}_token`]) ?? "");
  const ends = [config.eos_token_id ?? []].flat();
  const eos = named("eos") ?? ends[0];
  const bos = named("bos") ?? config.bos_token_id;
  add("bos", bos);
  add("eos", eos);
  // A chat model ends its turn with another token than a text.
  add(
    "eot",
    ends.find((id) => id !== eos),
  );
  add("unknown", named("unk") ?? ids.get(tokenText((tokenizer.model as { unk_token?: unknown }).unk_token) ?? ""));
  add("padding", named("pad") ?? config.pad_token_id);
  const addsBos = bos !== undefined && bos !== null && prependsBos(tokenizer, tokenizerConfig);
  metadata["tokenizer.ggml.add_bos_token"] = { type: "bool", value: addsBos };
  metadata["tokenizer.ggml.add_eos_token"] = { type: "bool", value: tokenizerConfig.add_eos_token === true };
  return metadata;
}

function prependsBos(tokenizer: Readonly<Record<string, unknown>>, config: Readonly<Record<string, unknown>>): boolean {
  if (typeof config.add_bos_token === "boolean") return config.add_bos_token;
  const bos = tokenText(config.bos_token);
  const [first] = templates(tokenizer.post_processor);
  return bos !== undefined && (first as { SpecialToken?: { id?: string } } | undefined)?.SpecialToken?.id === bos;
}

/** What a post-processor, or one of a sequence, puts around a single text. */
function templates(processor: unknown): readonly unknown[] {
  const { single, processors } = (processor ?? {}) as { single?: unknown[]; processors?: unknown[] };
  return single ?? processors?.map(templates).find(({ length }) => length > 0) ?? [];
}

/** Whether a text is tokenized as if a space stood before it. */
export function prependsSpace({ tokenizer }: TokenizerFiles): boolean {
  const steps = (step: unknown): Record<string, unknown>[] => {
    const { normalizers, pretokenizers, ...own } = (step ?? {}) as Record<string, unknown>;
    return [
      own,
      ...[normalizers, pretokenizers]
        .flat()
        .filter((inner) => inner)
        .flatMap(steps),
    ];
  };
  return [...steps(tokenizer.normalizer), ...steps(tokenizer.pre_tokenizer)].some(
    ({ type, prepend_scheme, add_prefix_space }) =>
      type === "Prepend" ||
      (type === "Metaspace" && (prepend_scheme === undefined ? add_prefix_space === true : prepend_scheme !== "never")),
  );
}

function chatTemplate({ tokenizerConfig }: TokenizerFiles): GgufMetadata {
  const template = tokenizerConfig.chat_template;
  const list = Array.isArray(template) ? (template as { name?: string; template?: unknown }[]) : [{ template }];
  const text = (list.find(({ name }) => name === "default") ?? list[0])?.template;
  return typeof text === "string" ? { "tokenizer.chat_template": { type: "string", value: text } } : {};
}

function copied(origin: Readonly<Record<string, unknown>>): GgufMetadata {
  const metadata: Record<string, GgufValue> = {};
  for (const key of Object.keys(origin)) {
    if (!key.startsWith("tokenizer.")) continue;
    const typed = typeOf(key, origin[key]);
    if (typed) metadata[key] = typed;
  }
  return metadata;
}

/** With the type that llama.cpp's converter gives such a key. */
function typeOf(key: string, value: unknown): GgufValue | undefined {
  if (typeof value === "string") return { type: "string", value };
  if (typeof value === "boolean") return { type: "bool", value };
  if (typeof value === "number") return { type: "u32", value };
  if (!Array.isArray(value) || value.length === 0) return undefined;
  if (typeof value[0] === "string") return { type: "strings", value };
  return typeof value[0] === "number" ? { type: key.endsWith("scores") ? "f32s" : "i32s", value } : undefined;
}

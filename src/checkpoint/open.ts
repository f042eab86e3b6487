/** Opens a checkpoint on disk, whatever its format. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { readJsonObject } from "../base/json.ts";
import { asReadError } from "../base/read-error.ts";
import { PrunelabError } from "../errors.ts";
import { type ByteSource, fileSource } from "./byte-source.ts";
import type { Checkpoint, GgufOrigin, TokenizerFiles } from "./checkpoint.ts";
import { type ModelConfig, parseConfig } from "./config.ts";
import { ggmlTypes } from "./dequantize.ts";
import { type GgufFile, type GgufTensor, isGguf, readGguf, readGgufTensor } from "./gguf.ts";
import { bpeTokenizerFiles } from "./gguf-bpe-tokenizer.ts";
import { configFromGguf } from "./gguf-config.ts";
import { tokenizerFilesFromGguf } from "./gguf-tokenizer.ts";
import { indexOfNonFinite } from "./half.ts";
import { hasPairedRows, unpairRows } from "./rotary-rows.ts";
import { readSafetensorsHeader, readSafetensorsIndex, type SafetensorsEntry } from "./safetensors.ts";
import { isSameData } from "./same-data.ts";
import { isSparseOnly } from "./sparse-bitmask.ts";
import { findTensors, type StoredOptions, type StoredTensor } from "./stored-tensors.ts";
import type { TensorInfo } from "./tensor.ts";
import { modelTensors, weightOffset } from "./tensor-names.ts";
import { factsOf, isFacts } from "./tokenizer-facts.ts";

/** What a format's reader finds; the rest is the same for all. */
interface Opened {
  readonly config: ModelConfig;
  readonly stored: ReadonlyMap<string, StoredTensor>;
  readonly gguf?: GgufOrigin;
  /** The files that hold the weights, in a fixed order. */
  readonly sources: readonly ByteSource[];
  readonly tokenizer: () => Promise<TokenizerFiles>;
  /** The state of the files that it is read from; undefined if one changed just now. */
  readonly tokenizerStamp: () => Promise<string | undefined>;
  /** `generation_config.json`, where there is one. */
  readonly generationConfig: () => Promise<Record<string, unknown> | undefined>;
}

export interface OpenOptions extends StoredOptions {
  /** How reports call it; by default the folder's or file's name. */
  readonly name?: string;
  /** Keeps what takes seconds to make: digests of large files, tokenizers built from GGUF files. Unless given, they are made each time. */
  readonly keep?: Keep;
}

/** Gives the value of a key, or makes it with `make`. What was kept and is not whole is made anew. */
export type Keep = <T>(
  kind: "tokenizers" | "digests",
  recipe: {
    readonly key: readonly unknown[];
    readonly make: () => Promise<T>;
    readonly isWhole: (value: unknown) => value is T;
  },
) => Promise<T>;

const keepNothing: Keep = async (_, { make }) => await make();

/**
 * Opens a checkpoint of a supported family (families.ts): a Hugging Face folder (`config.json` with `model.safetensors`, or shards and their index),
 * a `.safetensors` file with `config.json` beside it, a `.gguf` file, or a folder whose only model is one. The format is told by the content.
 *
 * The header is read and checked against the config, tensor by tensor; weights are read when asked for, and a file that
 * changes in between is noticed. Nothing stays open.
 *
 * @throws PrunelabError when the path holds no checkpoint; the file is cut off, corrupt or of an unknown type; the
 *   architecture is another; or a tensor is missing or has a shape that does not fit the config. `read` throws it when
 *   a weight is infinite or not a number.
 */
export async function openCheckpointFile(path: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const where = resolve(path);
  const { config, stored, gguf, sources, tokenizer, tokenizerStamp, generationConfig } = await openFormat(
    where,
    options,
  );
  const tensors = new Map<string, TensorInfo>();
  for (const { name, shape } of modelTensors(config)) {
    const found = stored.get(name);
    if (!found) throw missing(name, where);
    if (found.shape.length !== shape.length || found.shape.some((size, i) => size !== shape[i])) {
      throw new PrunelabError(
        `wrong shape of ${name}: ${where}: ${found.shape.join(" × ")}, where the config says ${shape.join(" × ")}; ` +
          "the weights and the config belong to different models",
      );
    }
    tensors.set(name, { name, shape });
  }
  for (const name of stored.keys()) {
    // A block more than the config has would be left out without a word, and the model would be another.
    if (!tensors.has(name)) {
      throw new PrunelabError(
        `unexpected tensor: ${name}: ${where}; the weights and the config belong to different models`,
      );
    }
  }
  const keep = options.keep ?? keepNothing;
  const files = once(tokenizer);
  return {
    name: options.name ?? basename(where).replace(/\.(?:gguf|safetensors)$/, ""),
    config,
    tensors,
    dtypes: new Map([...stored].map(([name, { dtype }]) => [name, dtype])),
    async read(name) {
      const info = tensors.get(name);
      if (!info) throw new PrunelabError(`missing tensor: ${name}; the checkpoint's tensors lists those there are`);
      const data = await stored.get(name)!.read();
      const bad = indexOfNonFinite(data);
      if (bad >= 0) {
        throw new PrunelabError(
          `weight is infinite or not a number: ${name}, element ${bad}: ${where}; download it again or convert it anew`,
        );
      }
      return { ...info, data };
    },
    ...(gguf && { gguf }),
    digest: once(() => digestOf(config, sources, keep)),
    tokenizer: files,
    tokenizerFacts: once(async () => {
      const make = async () => factsOf(await files());
      const stamp = await tokenizerStamp();
      return stamp === undefined ? make() : keep("tokenizers", { key: ["facts", stamp], make, isWhole: isFacts });
    }),
    generationConfig: once(
      async () =>
        (await generationConfig()) ?? {
          _from_model_config: true,
          bos_token_id: config.bos_token_id,
          eos_token_id: config.eos_token_id,
          pad_token_id: config.pad_token_id,
        },
    ),
  };
}

function missing(name: string, where: string): PrunelabError {
  return new PrunelabError(`missing tensor: ${name}: ${where}; download it again or convert it anew`);
}

async function openFormat(path: string, options: OpenOptions): Promise<Opened> {
  if (await isFolder(path)) {
    const single = join(path, "model.safetensors");
    const index = `${single}.index.json`;
    if (await exists(single))
      return openSafetensors(path, await readSafetensorsHeader(await fileSource(single)), options);
    if (await exists(index)) return openSafetensors(path, await readSafetensorsIndex(index), options);
    if (await exists(join(path, "adapter_config.json"))) {
      throw new PrunelabError(
        `not a whole model: ${path}: it holds an adapter; give its base model, with --adapter or applyAdapter for this folder`,
      );
    }
    const names = await readdir(path);
    const ggufs = names.filter((name) => name.endsWith(".gguf")).sort();
    if (ggufs.length === 1) return openFormat(join(path, ggufs[0]!), options);
    if (ggufs.length > 1) {
      throw new PrunelabError(
        `several models in one folder: ${path}: ${ggufs.slice(0, 4).join(", ")}${ggufs.length > 4 ? ", …" : ""}; give the path of one of them`,
      );
    }
    const pickled = names.find((name) => /^pytorch_model.*\.bin(\.index\.json)?$|\.(pt|pth|ckpt)$/.test(name));
    throw new PrunelabError(
      pickled === undefined
        ? `not a checkpoint: ${path}: it holds no model.safetensors; give a Hugging Face folder, a .safetensors or a .gguf file`
        : `not a checkpoint: ${path}: it holds ${pickled}, which only Python can read, and no model.safetensors; save it again with transformers: ` +
            "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(other)",
    );
  }
  if (path.endsWith(".index.json")) return openSafetensors(dirname(path), await readSafetensorsIndex(path), options);
  const [, first] = /^(.*)-\d{5}-of-\d{5}\.safetensors$/.exec(path) ?? [];
  if (first !== undefined)
    return openSafetensors(dirname(path), await readShards(`${first}.safetensors.index.json`, path), options);
  const source = await fileSource(path);
  if (await isGguf(source)) return openGguf(source, options.keep ?? keepNothing);
  // Eight bytes of length, then the header's opening brace.
  if (path.endsWith(".safetensors") || (source.byteLength > 8 && (await source.slice(8, 9))[0] === 0x7b)) {
    return openSafetensors(dirname(path), await readSafetensorsHeader(source), options);
  }
  throw new PrunelabError(
    `not a checkpoint: ${path}: it is neither safetensors nor gguf; give a Hugging Face folder, a .safetensors or a .gguf file`,
  );
}

/** All tensors of a model of which one file among several was given. */
async function readShards(index: string, path: string): Promise<ReadonlyMap<string, SafetensorsEntry>> {
  if (await exists(index)) return readSafetensorsIndex(index);
  throw new PrunelabError(
    `one part of a model in several files: ${path}: ${basename(index)} is not beside it; download the other parts and the index into one folder`,
  );
}

async function openSafetensors(
  folder: string,
  entries: ReadonlyMap<string, SafetensorsEntry>,
  options: OpenOptions,
): Promise<Opened> {
  const inFolder = (name: string) => readJsonObject(join(folder, name));
  const json = await inFolder("config.json");
  checkNotQuantized(json, join(folder, "config.json"));
  const parsed = parseConfig(json, join(folder, "config.json"));
  const { config, stored } = await findTensors(entries, parsed, folder, options);
  const sources = new Map([...entries.values()].map(({ source }) => [source.name, source]));
  return {
    config,
    stored,
    sources: [...sources.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    tokenizer: async () => ({
      tokenizer: await inFolder("tokenizer.json"),
      ...(await readTokenizerConfig(folder)),
    }),
    tokenizerStamp: async () => {
      const stamps = [];
      for (const name of ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]) {
        const path = join(folder, name);
        stamps.push((await exists(path)) ? (await fileSource(path)).stamp : `no ${name}`);
      }
      return stamps.includes(undefined) ? undefined : stamps.join("\n");
    },
    generationConfig: async () =>
      (await exists(join(folder, "generation_config.json"))) ? inFolder("generation_config.json") : undefined,
  };
}

/** transformers 5 keeps the chat template in a file of its own, which counts before the one in `tokenizer_config.json`. */
async function readTokenizerConfig(folder: string): Promise<Omit<TokenizerFiles, "tokenizer">> {
  const tokenizerConfig = await readJsonObject(join(folder, "tokenizer_config.json"));
  const path = join(folder, "chat_template.jinja");
  if (!(await exists(path))) return { tokenizerConfig };
  const chatTemplate = await readFile(path, "utf8").catch((error) => {
    throw asReadError(error, path);
  });
  return { tokenizerConfig: { ...tokenizerConfig, chat_template: chatTemplate }, chatTemplate };
}

/** Refuses weights that other libraries have quantized, whose tensors would only seem to be missing. */
function checkNotQuantized(json: Readonly<Record<string, unknown>>, where: string): void {
  const quantization = json.quantization_config ?? json.compression_config;
  if (typeof quantization !== "object" || quantization === null) return;
  if (isSparseOnly(quantization as Record<string, unknown>)) return;
  const method = (quantization as Record<string, unknown>).quant_method;
  throw new PrunelabError(
    `unsupported quantization: ${where}: ${JSON.stringify(method ?? quantization)}; Prunelab reads safetensors in F32, F16 and BF16, and gguf in ` +
      [...ggmlTypes.values()].map(({ name }) => name).join(", "),
  );
}

async function openGguf(source: ByteSource, keep: Keep): Promise<Opened> {
  const parts = await readGgufParts(source);
  const { metadata, source: first } = parts[0]!;
  const tensors = new Map(parts.flatMap((part) => [...part.tensors]));
  const embedding = tensors.get("token_embd.weight");
  const output = tensors.get("output.weight");
  const factors = tensors.get("rope_freqs.weight");
  const withoutBiases = configFromGguf(
    metadata,
    {
      // Another architecture is told before a missing embedding: 1 passes where the size is not known.
      vocabularySize: embedding?.shape[0] ?? 1,
      isTied: !output || (embedding !== undefined && (await isSameData(embedding, output))),
      ...(factors && { ropeFactors: await readFloat32(factors) }),
    },
    source.name,
  );
  const config = {
    ...withoutBiases,
    attention_bias: tensors.has("blk.0.attn_output.bias"),
    mlp_bias: tensors.has("blk.0.ffn_down.bias"),
  };
  const own = new Map(modelTensors(config).map((tensor) => [tensor.ggufName, tensor.name]));
  const stored = new Map<string, StoredTensor>();
  const origin = new Map<string, GgufTensor & { readonly values: StoredTensor["read"] }>();
  for (const tensor of tensors.values()) {
    if (tensor === factors || (tensor === output && config.tie_word_embeddings)) continue;
    const name = own.get(tensor.name) ?? tensor.name;
    const read = () => readGgufTensor(tensor, -weightOffset(config, name));
    const values = hasPairedRows(config, name)
      ? async () => unpairRows(await read(), tensor.shape[0]!, config.head_dim)
      : read;
    stored.set(name, { shape: tensor.shape, dtype: tensor.type.name, read: values });
    origin.set(name, { ...tensor, values });
  }
  return {
    config,
    stored,
    gguf: { metadata, tensors: origin },
    sources: parts.map(({ source }) => source),
    tokenizer: () => ggufTokenizer(metadata, first.stamp, keep),
    tokenizerStamp: async () => first.stamp,
    generationConfig: async () => undefined,
  };
}

async function ggufTokenizer(
  metadata: GgufFile["metadata"],
  stamp: string | undefined,
  keep: Keep,
): Promise<TokenizerFiles> {
  const build = metadata["tokenizer.ggml.model"] === "gpt2" ? bpeTokenizerFiles : tokenizerFilesFromGguf;
  const make = async () => build(metadata);
  return stamp === undefined ? await make() : await keep("tokenizers", { key: [stamp], make, isWhole: isTokenizer });
}

function isTokenizer(value: unknown): value is TokenizerFiles {
  const isObject = (part: unknown) => typeof part === "object" && part !== null && !Array.isArray(part);
  return (
    isObject(value) &&
    isObject((value as TokenizerFiles).tokenizer) &&
    isObject((value as TokenizerFiles).tokenizerConfig)
  );
}

/** A GGUF, or all files of a split one, of which any may be given; the first holds the metadata. */
async function readGgufParts(source: ByteSource): Promise<(GgufFile & { readonly source: ByteSource })[]> {
  const given = { ...(await readGguf(source)), source };
  const count = Number(given.metadata["split.count"] ?? 1);
  if (count <= 1) return [given];
  const digits = (index: number) => String(index).padStart(5, "0");
  const [, stem] = /^(.*)-\d{5}-of-\d{5}\.gguf$/.exec(source.name) ?? [];
  const paths = Array.from({ length: count }, (_, i) => `${stem}-${digits(i + 1)}-of-${digits(count)}.gguf`);
  for (const path of paths) {
    if (stem !== undefined && (await exists(path))) continue;
    throw new PrunelabError(
      `one part of a model in ${count} files: ${source.name}: ${stem === undefined ? "it has another name than llama.cpp gives parts" : `${basename(path)} is not beside it`}; ` +
        "put all parts into one folder under their own names",
    );
  }
  return Promise.all(
    paths.map(async (path) => {
      const part = await fileSource(path);
      return { ...(await readGguf(part)), source: part };
    }),
  );
}

/** A small tensor that is kept in float32, unrounded. */
async function readFloat32({ name, type, source, start, end }: GgufTensor): Promise<number[]> {
  if (type.name !== "F32")
    throw new PrunelabError(`unsupported ggml type of ${name}: ${type.name}: ${source.name}; needs F32`);
  return [...new Float32Array((await source.slice(start, end)).buffer)];
}

async function digestOf(config: ModelConfig, sources: readonly ByteSource[], keep: Keep): Promise<string> {
  const make = async () => {
    const hash = createHash("sha256").update(JSON.stringify(config));
    for (const source of sources) {
      for await (const piece of source.pieces(0, source.byteLength, 2 ** 24)) hash.update(piece);
    }
    return hash.digest("hex");
  };
  const stamps = sources.map(({ stamp }) => stamp);
  if (stamps.includes(undefined)) return await make();
  const isWhole = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
  return await keep("digests", { key: [config, ...stamps], make, isWhole });
}

/** The function with its first success kept; a failure is not, so that it can be tried again. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((error) => {
    throw asReadError(error, path);
  });
  return found.isDirectory();
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Opens a checkpoint on disk, whatever its format. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { readJsonObject } from "../base/json.ts";
import { asReadError } from "../base/read-error.ts";
import { PrunelabError } from "../errors.ts";
import { type ByteSource, fileSource } from "./byte-source.ts";
import type { Checkpoint, TokenizerFiles } from "./checkpoint.ts";
import { type Gemma3Config, parseGemma3Config } from "./config.ts";
import { isGguf, readGguf, readGgufTensor } from "./gguf.ts";
import { gemma3ConfigFromGguf } from "./gguf-config.ts";
import { ggufTokenizer } from "./gguf-tokenizer-cache.ts";
import { indexOfNonFinite } from "./half.ts";
import {
  isReadableDtype,
  readSafetensorsHeader,
  readSafetensorsIndex,
  readSafetensorsTensor,
  type SafetensorsEntry,
} from "./safetensors.ts";
import type { TensorInfo } from "./tensor.ts";
import { gemma3Tensors, isNorm, textTensorName } from "./tensor-names.ts";

/** A tensor of the file, under the name that the checkpoint gives it. */
interface StoredTensor {
  readonly shape: readonly number[];
  readonly read: () => Promise<Uint16Array>;
}

/** What a format's reader finds; the rest is the same for all. */
interface Opened {
  readonly config: Gemma3Config;
  readonly stored: ReadonlyMap<string, StoredTensor>;
  /** The files that hold the weights, in a fixed order. */
  readonly sources: readonly ByteSource[];
  readonly tokenizer: () => Promise<TokenizerFiles>;
  /** `generation_config.json`, where there is one. */
  readonly generationConfig: () => Promise<Record<string, unknown> | undefined>;
}

/**
 * Opens a Gemma 3 checkpoint: a Hugging Face folder (`config.json` with `model.safetensors`, or shards and their index),
 * a `.safetensors` file with `config.json` beside it, or a `.gguf` file. The format is told by the content.
 *
 * The header is read and checked against the config, tensor by tensor; weights are read when asked for, and a file that
 * changes in between is noticed. Nothing stays open.
 *
 * @param options.name - how reports call it; by default the folder's or file's name.
 * @param options.tokenizerCache - a folder that keeps tokenizers built from GGUF files; building one takes seconds.
 * @throws PrunelabError when the path holds no checkpoint; the file is cut off, corrupt or of an unknown type; the
 *   architecture is another; or a tensor is missing or has a shape that does not fit the config. `read` throws it when
 *   a weight is infinite or not a number.
 */
export async function openCheckpointFile(
  path: string,
  options: { readonly name?: string; readonly tokenizerCache?: string } = {},
): Promise<Checkpoint> {
  const where = resolve(path);
  const { config, stored, sources, tokenizer, generationConfig } = await openFormat(where, options.tokenizerCache);
  const tensors = new Map<string, TensorInfo>();
  for (const { name, shape } of gemma3Tensors(config)) {
    const found = stored.get(name);
    if (!found) throw new PrunelabError(`missing tensor: ${name}: ${where}; download it again or convert it anew`);
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
  return {
    name: options.name ?? basename(where).replace(/\.(?:gguf|safetensors)$/, ""),
    config,
    tensors,
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
    digest: once(async () => {
      const hash = createHash("sha256").update(JSON.stringify(config));
      for (const source of sources) await hashSource(hash, source);
      return hash.digest("hex");
    }),
    tokenizer: once(tokenizer),
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

async function openFormat(path: string, tokenizerCache: string | undefined): Promise<Opened> {
  if (await isFolder(path)) {
    const single = join(path, "model.safetensors");
    const index = `${single}.index.json`;
    if (await exists(single)) return openSafetensors(path, await readSafetensorsHeader(await fileSource(single)));
    if (await exists(index)) return openSafetensors(path, await readSafetensorsIndex(index));
    throw new PrunelabError(
      `not a checkpoint: ${path}: it holds no model.safetensors; give a Hugging Face folder, a .safetensors or a .gguf file`,
    );
  }
  if (path.endsWith(".index.json")) return openSafetensors(dirname(path), await readSafetensorsIndex(path));
  const source = await fileSource(path);
  if (await isGguf(source)) return openGguf(source, tokenizerCache);
  // Eight bytes of length, then the header's opening brace.
  if (path.endsWith(".safetensors") || (source.byteLength > 8 && (await source.slice(8, 9))[0] === 0x7b)) {
    return openSafetensors(dirname(path), await readSafetensorsHeader(source));
  }
  throw new PrunelabError(
    `not a checkpoint: ${path}: it is neither safetensors nor gguf; give a Hugging Face folder, a .safetensors or a .gguf file`,
  );
}

async function openSafetensors(folder: string, entries: ReadonlyMap<string, SafetensorsEntry>): Promise<Opened> {
  const inFolder = (name: string) => readJsonObject(join(folder, name));
  const config = parseGemma3Config(await inFolder("config.json"), join(folder, "config.json"));
  const stored = new Map<string, StoredTensor>();
  const sources = new Map<string, ByteSource>();
  for (const entry of entries.values()) {
    sources.set(entry.source.name, entry.source);
    const name = textTensorName(entry.name);
    if (name === undefined) continue;
    if (!isReadableDtype(entry.dtype)) {
      throw new PrunelabError(
        `unsupported dtype of ${entry.name}: ${entry.source.name}: ${entry.dtype}; use weights in F32, F16 or BF16`,
      );
    }
    stored.set(name, { shape: entry.shape, read: () => readSafetensorsTensor(entry) });
  }
  return {
    config,
    stored,
    sources: [...sources.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    tokenizer: async () => ({
      tokenizer: await inFolder("tokenizer.json"),
      tokenizerConfig: await inFolder("tokenizer_config.json"),
    }),
    generationConfig: async () =>
      (await exists(join(folder, "generation_config.json"))) ? inFolder("generation_config.json") : undefined,
  };
}

async function openGguf(source: ByteSource, tokenizerCache: string | undefined): Promise<Opened> {
  const { metadata, tensors } = await readGguf(source);
  // Another architecture is told before a missing embedding: 1 passes where the size is not known.
  const vocabularySize = tensors.get("token_embd.weight")?.shape[0] ?? 1;
  const config = gemma3ConfigFromGguf(metadata, vocabularySize, source.name);
  const names = new Map(gemma3Tensors(config).map(({ name, ggufName }) => [ggufName, name]));
  const stored = new Map<string, StoredTensor>();
  for (const tensor of tensors.values()) {
    // The head, where a file has one of its own, is the embedding again.
    if (tensor.name === "output.weight") continue;
    const name = names.get(tensor.name) ?? tensor.name;
    stored.set(name, { shape: tensor.shape, read: () => readGgufTensor(tensor, isNorm(name) ? -1 : 0) });
  }
  return {
    config,
    stored,
    sources: [source],
    tokenizer: () => ggufTokenizer(metadata, tokenizerCache),
    generationConfig: async () => undefined,
  };
}

async function hashSource(hash: ReturnType<typeof createHash>, source: ByteSource): Promise<void> {
  for await (const piece of source.pieces(0, source.byteLength, 2 ** 24)) hash.update(piece);
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

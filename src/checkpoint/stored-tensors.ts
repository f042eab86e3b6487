/** Finds a text model's tensors among those of a safetensors file, whoever saved it and however it was wrapped then. */
import { PrunelabError } from "../errors.ts";
import type { ModelConfig } from "./config.ts";
import { isReadableDtype, readSafetensorsTensor, type SafetensorsEntry } from "./safetensors.ts";
import { isSameData } from "./same-data.ts";
import { takeSparse } from "./sparse-bitmask.ts";
import { embeddingName, textTensorName } from "./tensor-names.ts";

/** A tensor of a file, under the name that the checkpoint gives it. */
export interface StoredTensor {
  readonly shape: readonly number[];
  /** As the file's format calls it. */
  readonly dtype: string;
  readonly read: () => Promise<Uint16Array>;
}

export interface StoredOptions {
  /** Whether to finish torch's pruning: `weight_orig` times `weight_mask` is read as `weight`. */
  readonly applyMasks?: boolean;
}

/**
 * The tensors by the names of a text model. The config's `tie_word_embeddings` is set by what is there: a head that differs from the embedding is
 * used, as by transformers 5; one that is the same is left out.
 *
 * @throws PrunelabError when a tensor has a dtype that cannot be read, or the file holds weights and masks apart and `applyMasks` is not set.
 */
export async function findTensors(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  config: ModelConfig,
  where: string,
  { applyMasks = false }: StoredOptions,
): Promise<{ config: ModelConfig; stored: Map<string, StoredTensor> }> {
  const found = new Map<string, SafetensorsEntry>();
  for (const entry of entries.values()) {
    const name = textTensorName(entry.name);
    if (name !== undefined) found.set(name, entry);
  }
  const lora = [...found.keys()].find((name) => /\.lora_[AB]\b/.test(name));
  if (found.size === 0 || (lora !== undefined && !found.has(embeddingName))) {
    const [first = "none"] = entries.keys();
    throw new PrunelabError(
      `missing tensor: ${embeddingName}: ${where}; none of its tensors is a text model's by the names of transformers, the first is ${first}; ` +
        "give the whole model, not an adapter",
    );
  }
  if (lora !== undefined) {
    throw new PrunelabError(
      `adapter is not merged: ${where}: ${lora} is beside the weights; merge it first, in Python by model.merge_and_unload()`,
    );
  }
  const masked = [...found.keys()].filter((name) => name.endsWith("_orig") && found.has(maskName(name)));
  if (masked.length > 0 && !applyMasks) {
    throw new PrunelabError(
      `pruning is not finished: ${where}: ${masked.length} tensors are stored as weight_orig and weight_mask, as torch's prune leaves them ` +
        "without prune.remove; open it with applyMasks: true, or write the finished model: prunelab inspect <path> --apply-masks <folder>",
    );
  }
  const stored = new Map<string, StoredTensor>();
  const add = (name: string, entry: SafetensorsEntry, read: () => Promise<Uint16Array>) => {
    if (!isReadableDtype(entry.dtype)) {
      throw new PrunelabError(
        `unsupported dtype of ${entry.name}: ${entry.source.name}: ${entry.dtype}; use weights in F32, F16 or BF16`,
      );
    }
    stored.set(name, { shape: entry.shape, dtype: entry.dtype, read });
  };
  for (const { name, ...tensor } of await takeSparse(found)) stored.set(name, tensor);
  for (const name of masked) {
    const [weight, mask] = [found.get(name)!, found.get(maskName(name))!];
    add(name.replace(/_orig$/, ""), weight, () => readMasked(weight, mask));
    found.delete(name);
    found.delete(maskName(name));
  }
  const [embedding, head] = [found.get(embeddingName), found.get("lm_head.weight")];
  let isTied = config.tie_word_embeddings;
  if (isTied && head) {
    isTied = embedding !== undefined && embedding.dtype === head.dtype && (await isSameData(embedding, head));
    if (isTied) found.delete("lm_head.weight");
  }
  for (const [name, entry] of found) add(name, entry, () => readSafetensorsTensor(entry));
  return {
    config: isTied === config.tie_word_embeddings ? config : { ...config, tie_word_embeddings: isTied },
    stored,
  };
}

const maskName = (orig: string) => orig.replace(/_orig$/, "_mask");

async function readMasked(weight: SafetensorsEntry, mask: SafetensorsEntry): Promise<Uint16Array> {
  const data = await readSafetensorsTensor(weight);
  const kept = await readSafetensorsTensor(mask);
  // 0 or -0.
  for (let i = 0; i < data.length; i++) if ((kept[i]! & 0x7fff) === 0) data[i] = 0;
  return data;
}

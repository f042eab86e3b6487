/** What every stage takes and gives: a model as named tensors with its config and tokenizer. */
import type { ModelConfig } from "./config.ts";
import type { GgufTensor } from "./gguf.ts";
import { bf16ToFloat32 } from "./half.ts";
import type { Tensor, TensorInfo } from "./tensor.ts";

/** The files that tokenizer libraries read, parsed. */
export interface TokenizerFiles {
  /** `tokenizer.json`, as Hugging Face's tokenizers library writes it. */
  readonly tokenizer: Record<string, unknown>;
  /** `tokenizer_config.json`, with the chat template in it, wherever the checkpoint has that. */
  readonly tokenizerConfig: Record<string, unknown>;
  /** What a checkpoint has in `chat_template.jinja`, where transformers 5 keeps the template. */
  readonly chatTemplate?: string;
}

/** What a GGUF file holds. */
export interface GgufOrigin {
  /** By GGUF's own keys. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** By the checkpoint's names; `values` are as its `read` gave them when it was opened. */
  readonly tensors: ReadonlyMap<string, GgufTensor & { readonly values: () => Promise<Uint16Array> }>;
}

/** Text and id of the tokens that results files name. */
export interface SpecialTokens {
  readonly pad: readonly [string, number];
  readonly eos: readonly [string, number];
  /** Null if the tokenizer has none, as in Qwen. */
  readonly bos: readonly [string, number] | null;
}

/** What is known of a tokenizer without encoding anything. */
export interface TokenizerFacts {
  readonly specialTokens: SpecialTokens;
  /** As `tokenizer_config.json` has it: a template, or a list of them with names. */
  readonly chatTemplate?: unknown;
  /** Hex digest of both files: equal digests mean equal token ids of every text. */
  readonly digest: string;
}

/** Named bfloat16 tensors and a config. A dense and a pruned model have this one type, so no later stage can tell them apart. */
export interface Checkpoint {
  /** How reports call it, e.g. `"google/gemma-3-270m"`. */
  readonly name: string;
  readonly config: ModelConfig;
  /** In Hugging Face's names (`model.layers.0.self_attn.q_proj.weight`); a tied head is left out. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** How the files store each tensor (`"BF16"`, `"F32"`, `"Q4_1"`); absent where some are in memory only. */
  readonly dtypes?: ReadonlyMap<string, string>;
  /** Reads one tensor, lazily, by byte range. Throws a PrunelabError that names a tensor that is missing. */
  read(name: string): Promise<Tensor>;
  /** The same values before they were rounded to bfloat16, where they are known; for those that score. */
  readFloat32?(name: string): Promise<Float32Array>;
  /**
   * The GGUF file that it was opened from, or that the model it was made from was opened from: the metadata, and the tensors as they are stored there,
   * by the checkpoint's names. The checkpoint's own values may be others by now.
   */
  readonly gguf?: GgufOrigin;
  /** Hex digest of the weights and the config: equal digests mean equal weights. */
  digest(): Promise<string>;
  tokenizer(): Promise<TokenizerFiles>;
  /** The same files' facts, where they are known without parsing megabytes. */
  tokenizerFacts?(): Promise<TokenizerFacts>;
  /** `generation_config.json`, parsed; made from the config where the checkpoint has none. */
  generationConfig(): Promise<Record<string, unknown>>;
}

/** A tensor's values to compute with: as they were before they were rounded to bfloat16, where that is known. */
export async function readValues(
  checkpoint: Pick<Checkpoint, "read" | "readFloat32">,
  name: string,
): Promise<Float32Array> {
  return (await checkpoint.readFloat32?.(name)) ?? bf16ToFloat32((await checkpoint.read(name)).data);
}

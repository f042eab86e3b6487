/** Writes a checkpoint in one of the forms of the table. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { prepareFolder } from "../base/atomic.ts";
import { checkRoom } from "../base/disk-space.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { listener, type OnProgress } from "../progress.ts";
import { findForm } from "./forms.ts";

export interface ExportOptions {
  /** The form, such as `"gguf:q8_0"` (default `"onnx:fp32"`). */
  readonly to?: string;
  /** Whether to write over weights that are there (default: only if `to` is left out). */
  readonly force?: boolean;
  /** The most bytes that a file of safetensors holds (default 5e9). */
  readonly shardBytes?: number;
  /**
   * The GGUF checkpoint that this one was made from, for the quantised GGUF forms: tensors that still have its values keep its blocks. A checkpoint that
   * was opened from a GGUF, and pruned in this process, knows it by itself.
   */
  readonly base?: Checkpoint;
  readonly onProgress?: OnProgress;
}

/** What was written. */
export interface ExportedModel {
  readonly form: string;
  readonly folder: string;
  /** The files with weights, from the folder on. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** In a line. */
  readonly summary: string;
}

/**
 * Writes a checkpoint, pruned or not, in a form that others run it in; the forms are in forms.ts and in `prunelab export --help`. The folder is made
 * where it is missing. What was written is read again before the call returns.
 *
 * Without `to` it is the folder for `AutoModelForCausalLM.from_pretrained(folder)` of `@huggingface/transformers`, in float32.
 *
 * @throws PrunelabError when there is no such form, the model cannot have it, weights are there already and `force` is not set, the disk has too
 *   little space, or a file cannot be written.
 */
export async function exportModel(
  model: Checkpoint,
  folder: string,
  options: ExportOptions = {},
): Promise<ExportedModel> {
  const { to = "onnx:fp32", force = options.to === undefined } = options;
  const { gguf = model.gguf } = options.base ?? {};
  const checkpoint = gguf === model.gguf ? model : { ...model, ...(gguf && { gguf }) };
  const onProgress = listener(options.onProgress);
  const form = findForm(to);
  const settings = { shardBytes: options.shardBytes ?? 5e9 };
  const { weights, bytes } = await form.plan(checkpoint, settings);
  if (/\.(gguf|safetensors|onnx)$/.test(folder)) {
    throw new PrunelabError(
      `what is written is a folder, not a file: ${folder}; name the folder, the files in it are named after the model`,
    );
  }
  await prepareFolder(folder);
  if (!force) await refuseToReplace(folder, weights);
  await checkRoom(folder, bytes, `${checkpoint.name} as ${to}`, "free some or choose another folder");
  await form.write(checkpoint, folder, onProgress, settings);
  const remark = await form.check(checkpoint, folder, onProgress);
  const files = await Promise.all(
    weights.map(async (name) => ({ name, bytes: (await stat(join(folder, name))).size })),
  );
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const summary = `${checkpoint.name} as ${to}: ${(total / 1e6).toFixed(1)} MB of weights in ${folder}, read again and found right${remark ? `; ${remark}` : ""}`;
  return { form: to, folder, files, summary };
}

async function refuseToReplace(folder: string, weights: readonly string[]): Promise<void> {
  for (const name of weights) {
    const path = join(folder, name);
    if (!(await stat(path).catch(() => undefined))) continue;
    throw new PrunelabError(`there already: ${path}; choose another folder, or replace it with force: true (--force)`);
  }
}

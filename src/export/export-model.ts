/** Writes a checkpoint in one of the forms of the table. */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { prepareFolder } from "../base/atomic.ts";
import { checkRoom } from "../base/disk-space.ts";
import { withTable } from "../base/value-table.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { parseConfig } from "../checkpoint/config.ts";
import { PrunelabError } from "../errors.ts";
import { listener, type OnProgress } from "../progress.ts";
import { type Adapter, writeAdapter } from "../train/adapter.ts";
import { writeMask } from "../train/mask.ts";
import { findForm } from "./forms.ts";

const maskFile = "mask.safetensors";
/** PEFT's own name, in a folder of its own. */
const adapterFile = "adapter/adapter_model.safetensors";

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
  /** Whether to write `mask.safetensors` too: which weights of the linear layers are kept, for training elsewhere (`readMask`). */
  readonly mask?: boolean;
  /** An adapter of this model (`readAdapter`), written into `adapter/` as PEFT reads it; the model itself stays without it. */
  readonly adapter?: Adapter;
  readonly onProgress?: OnProgress;
}

/** What was written. */
export interface ExportedModel {
  readonly form: string;
  readonly folder: string;
  /** The files with weights, a mask and an adapter too, from the folder on. */
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
  if (/\.(gguf|safetensors|onnx)$/.test(folder)) {
    throw new PrunelabError(
      `what is written is a folder, not a file: ${folder}; name the folder, the files in it are named after the model`,
    );
  }
  const { weights, replaces = [], bytes } = await form.plan(checkpoint, settings);
  const beside = [...(options.mask ? [maskFile] : []), ...(options.adapter ? [adapterFile] : [])];
  await prepareFolder(folder);
  if (!force) {
    await refuseToReplace(folder, [...weights, ...replaces, ...beside]);
    await refuseOtherModel(checkpoint, folder);
  }
  await checkRoom(folder, bytes, `${checkpoint.name} as ${to}`, "free some or choose another folder");
  await form.write(checkpoint, folder, onProgress, settings);
  const remark = await form.check(checkpoint, folder, onProgress);
  if (options.mask) await writeMask(checkpoint, join(folder, maskFile));
  if (options.adapter) await writeAdapter(options.adapter, join(folder, dirname(adapterFile)));
  const files = await Promise.all(
    [...weights, ...beside].map(async (name) => ({ name, bytes: (await stat(join(folder, name))).size })),
  );
  const total = files.slice(0, weights.length).reduce((sum, file) => sum + file.bytes, 0);
  const summary = [
    `${checkpoint.name} as ${to}: ${(total / 1e6).toFixed(1)} MB of weights in ${folder}, read again and found right`,
    ...(remark ? [remark] : []),
    ...beside.map((name) => `${name} beside them`),
  ].join("; ");
  return withTable({ form: to, folder, files, summary }, () => ({
    ...{ name: checkpoint.name, form: to },
    ...Object.fromEntries(files.map(({ name, bytes }) => [name, `${(bytes / 1e6).toFixed(1)} MB`])),
  }));
}

/** A folder has one config and one tokenizer, whatever forms of a model it holds. */
async function refuseOtherModel({ config, name }: Checkpoint, folder: string): Promise<void> {
  const path = join(folder, "config.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return;
  let there: unknown;
  try {
    there = parseConfig(JSON.parse(text), path);
  } catch {
    there = undefined;
  }
  const isSame = ["model_type", "vocab_size", "hidden_size", "num_hidden_layers"].every(
    (key) => (there as Record<string, unknown> | undefined)?.[key] === config[key as keyof typeof config],
  );
  if (isSame) return;
  throw new PrunelabError(
    `another model is there already: ${path} is not ${name}'s; choose another folder, or write over it with force: true (--force)`,
  );
}

async function refuseToReplace(folder: string, weights: readonly string[]): Promise<void> {
  for (const name of weights) {
    const path = join(folder, name);
    if (!(await stat(path).catch(() => undefined))) continue;
    throw new PrunelabError(`there already: ${path}; choose another folder, or replace it with force: true (--force)`);
  }
}

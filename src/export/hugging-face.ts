/** The forms for transformers and what builds on it: a Hugging Face folder in bfloat16 or float16, in several files where it is large. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32, float16ToFloat32, float32ToBf16, float32ToFloat16 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { bytesOfTensor, type SafetensorsPlan, writeSafetensorsBytes } from "../checkpoint/safetensors.ts";
import { weightCount } from "../checkpoint/tensor.ts";
import { PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { type Form, notAsWritten } from "./form.ts";
import { writeModelFiles } from "./model-files.ts";

type Dtype = "BF16" | "F16";

/** Header, config and tokenizer, roughly. */
const otherBytes = 6e7;
const single = "model.safetensors";
const index = `${single}.index.json`;
const isShard = (name: string) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name);

function form(dtype: Dtype, name: string, summary: string): Form {
  return {
    name,
    summary,
    plan: async (checkpoint, { shardBytes }) => {
      if (!(shardBytes > 0)) throw new PrunelabError(`invalid shardBytes; a number of bytes above 0: ${shardBytes}`);
      await checkpoint.tokenizer();
      const shards = shardsOf(checkpoint, dtype, shardBytes);
      return {
        weights: [...shards.keys(), ...(shards.size > 1 ? [index] : [])],
        replaces: [single, index],
        bytes: 2 * weightCount(checkpoint.tensors.values()) + otherBytes,
      };
    },
    write: (checkpoint, folder, onProgress, { shardBytes }) =>
      write(checkpoint, folder, dtype, shardsOf(checkpoint, dtype, shardBytes), onProgress),
    check: (checkpoint, folder) => checkFolder(checkpoint, folder, (bits) => onReading(stored(bits, dtype), dtype)),
  };
}

export const huggingFaceForms: readonly Form[] = [
  form("BF16", "safetensors:bf16", "Hugging Face folder, bfloat16: transformers, PEFT, TRL, vLLM, lm-eval"),
  form("F16", "safetensors:f16", "the same in float16, for GPUs without bfloat16"),
];

/** Tensors by file, in the order of the layers; a tensor is never cut, and a file holds at least one. */
function shardsOf({ tensors }: Checkpoint, dtype: Dtype, most: number): Map<string, SafetensorsPlan[]> {
  const shards: SafetensorsPlan[][] = [[]];
  let filled = 0;
  for (const { name, shape } of tensors.values()) {
    const tensor = { name, shape, dtype };
    const size = bytesOfTensor(tensor);
    if (filled > 0 && filled + size > most) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(tensor);
    filled += size;
  }
  const digits = (count: number) => String(count).padStart(5, "0");
  return new Map(
    shards.map((shard, i) => [
      shards.length === 1 ? single : `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`,
      shard,
    ]),
  );
}

async function write(
  checkpoint: Checkpoint,
  folder: string,
  dtype: Dtype,
  shards: ReadonlyMap<string, readonly SafetensorsPlan[]>,
  onProgress: OnProgress | undefined,
): Promise<void> {
  const total = 2 * weightCount(checkpoint.tensors.values());
  let before = 0;
  for (const [file, tensors] of shards) {
    let own = 0;
    await writeSafetensorsBytes(join(folder, file), tensors, async (name) => readAs(checkpoint, name, dtype), {
      onWritten: (done) => {
        own = done;
        onProgress?.({ step: `write ${file}`, done: before + done, total, unit: "bytes" });
      },
      // A folder with one file is complete once that file is there.
      beforeVisible: async () => {
        if (file === single) await writeModelFiles(checkpoint, folder, typeFields(dtype));
      },
    });
    before += own;
  }
  if (!shards.has(single)) {
    await writeModelFiles(checkpoint, folder, typeFields(dtype));
    const weightMap = [...shards].flatMap(([file, tensors]) => tensors.map(({ name }) => [name, file]));
    const metadata = { total_size: total, total_parameters: total / 2 };
    const json = { metadata, weight_map: Object.fromEntries(weightMap) };
    await writeFileAtomic(join(folder, index), `${JSON.stringify(json, undefined, 2)}\n`);
  }
  await removeOthers(folder, new Set([...shards.keys(), ...(shards.has(single) ? [] : [index])]));
}

const typeFields = (dtype: Dtype) => ({ torch_dtype: dtype === "F16" ? "float16" : "bfloat16" });

/** Of weights that were there before, in another number of files: readers would take them for this model's. */
async function removeOthers(folder: string, own: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!own.has(name) && (name === single || name === index || isShard(name))) await rm(join(folder, name));
  }
}

async function readAs(checkpoint: Checkpoint, name: string, dtype: Dtype): Promise<Uint16Array> {
  // Where they are known, the values before they were rounded to bfloat16.
  const exact = dtype === "F16" ? await checkpoint.readFloat32?.(name) : undefined;
  if (exact === undefined) {
    const { data } = await checkpoint.read(name);
    return withinRange(stored(data, dtype), dtype, name);
  }
  return withinRange(withoutMinusZero(float32ToFloat16(exact)), dtype, name);
}

function stored(bits: Uint16Array, dtype: Dtype): Uint16Array {
  return withoutMinusZero(dtype === "BF16" ? bits.slice() : float32ToFloat16(bf16ToFloat32(bits)));
}

/** In place: vLLM's sparse kernels, and masks by bits, take -0 for a weight. */
export function withoutMinusZero(bits: Uint16Array): Uint16Array {
  for (let i = 0; i < bits.length; i++) if (bits[i] === 0x8000) bits[i] = 0;
  return bits;
}

function withinRange(bits: Uint16Array, dtype: Dtype, name: string): Uint16Array {
  if (dtype === "F16" && bits.some((value) => (value & 0x7fff) === 0x7c00)) {
    throw new PrunelabError(`weight is too large for float16: ${name}; choose safetensors:bf16`);
  }
  return bits;
}

/** What the reader makes of bits that were stored. */
function onReading(bits: Uint16Array, dtype: Dtype): Uint16Array {
  return dtype === "BF16" ? bits : float32ToBf16(float16ToFloat32(bits));
}

/** Opens the folder as any other and compares each tensor with what `expected` makes of the checkpoint's. */
export async function checkFolder(
  checkpoint: Checkpoint,
  folder: string,
  expected: (bits: Uint16Array) => Uint16Array,
): Promise<void> {
  const again = await openCheckpointFile(folder);
  const wrong = (what: string) => notAsWritten(folder, what);
  if (JSON.stringify(again.config) !== JSON.stringify(checkpoint.config)) throw wrong("config.json");
  for (const name of checkpoint.tensors.keys()) {
    const [own, seen] = [expected((await checkpoint.read(name)).data), (await again.read(name)).data];
    // Rounded from float32 where that is known, a weight may be one step off.
    const most = checkpoint.readFloat32 ? 1 : 0;
    const at = own.findIndex((bits, i) => Math.abs(bits - seen[i]!) > most);
    if (at >= 0) throw wrong(`${name}, element ${at}`);
  }
}

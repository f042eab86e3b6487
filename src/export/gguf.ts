/** The forms for llama.cpp: one GGUF file in 16, 8, 5 or 4 bits. */
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { ggmlTypes } from "../checkpoint/dequantize.ts";
import type { GgufTensor } from "../checkpoint/gguf.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { hasPairedRows, pairRows } from "../checkpoint/rotary-rows.ts";
import { elementCount, type TensorInfo } from "../checkpoint/tensor.ts";
import { embeddingName, modelTensors, weightOffset } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { type Form, notAsWritten } from "./form.ts";
import { bf16, f16, f32, type GgmlWriter, q4_0, q5_0, q8_0 } from "./ggml-blocks.ts";
import { aligned, type GgufTensorPlan, writeGguf } from "./gguf-file.ts";
import { modelMetadata, ropeFactors } from "./gguf-metadata.ts";
import { tokenizerMetadata } from "./gguf-vocabulary.ts";

interface GgufForm {
  readonly type: GgmlWriter;
  /** llama.cpp's number (`enum llama_ftype`). */
  readonly fileType: number;
  /** Of the embedding and the head, which lose more by rounding than the layers. */
  readonly table: GgmlWriter;
  readonly summary: string;
}

const forms: readonly GgufForm[] = [
  { type: f16, fileType: 1, table: f16, summary: "llama.cpp, Ollama, LM Studio: float16" },
  { type: bf16, fileType: 32, table: bf16, summary: "llama.cpp: bfloat16, without any loss" },
  { type: q8_0, fileType: 7, table: q8_0, summary: "llama.cpp: 8.5 bits a weight" },
  { type: q5_0, fileType: 8, table: q8_0, summary: "llama.cpp: 5.5 bits a weight, embedding and head in 8.5" },
  { type: q4_0, fileType: 2, table: q8_0, summary: "llama.cpp: 4.5 bits a weight, embedding and head in 8.5" },
];

/** Metadata and tokenizer, roughly. */
const headBytes = 3e7;
/** Elements that are converted at a time; a multiple of every block. */
const chunkElements = 2 ** 20;

export const ggufForms: readonly Form[] = forms.map((form) => ({
  name: `gguf:${form.type.name.toLowerCase()}`,
  summary: form.summary,
  plan: async (checkpoint) => {
    await metadataOf(checkpoint, form);
    const sizes = modelTensors(checkpoint.config).map((tensor) => aligned(bytesOf(tensor, typeOf(tensor, form))));
    return { weights: [fileName(checkpoint, form)], bytes: sizes.reduce((sum, size) => sum + size, headBytes) };
  },
  write: (checkpoint, folder, onProgress) =>
    write(checkpoint, join(folder, fileName(checkpoint, form)), form, onProgress),
  check: (checkpoint, folder) => check(checkpoint, join(folder, fileName(checkpoint, form)), form),
}));

/** `gemma-3-270m-Q8_0.gguf`. */
function fileName({ name }: Checkpoint, { type }: GgufForm): string {
  const own = name
    .split("/")
    .at(-1)!
    .replace(/[^\w.-]+/g, "-");
  return `${own}-${type.name}.gguf`;
}

async function metadataOf(checkpoint: Checkpoint, { fileType }: GgufForm) {
  return { ...modelMetadata(checkpoint, fileType), ...(await tokenizerMetadata(checkpoint)) };
}

/** Norms and biases are always in float32; rows that do not make whole blocks in float16, as llama.cpp's converter has them. */
function typeOf({ name, shape }: TensorInfo, { type, table }: GgufForm): GgmlWriter {
  if (shape.length < 2) return f32;
  const wanted = name === embeddingName || name === "lm_head.weight" ? table : type;
  return shape.at(-1)! % wanted.elements === 0 ? wanted : f16;
}

function bytesOf({ shape }: TensorInfo, { elements, bytes }: Pick<GgmlWriter, "elements" | "bytes">): number {
  return (elementCount(shape) / elements) * bytes;
}

async function write(checkpoint: Checkpoint, path: string, form: GgufForm, onProgress?: OnProgress): Promise<void> {
  const metadata = await metadataOf(checkpoint, form);
  const tensors: GgufTensorPlan[] = [];
  for (const tensor of modelTensors(checkpoint.config)) {
    const { ggufName: name, shape } = tensor;
    const type = typeOf(tensor, form);
    const origin = await untouched(checkpoint, tensor, type);
    if (origin) {
      const typeId = [...ggmlTypes].find(([, of]) => of === origin.type)![0];
      tensors.push({ name, shape, typeId, bytes: origin.end - origin.start, write: (handle) => copy(origin, handle) });
      continue;
    }
    const bytes = bytesOf(tensor, type);
    tensors.push({ name, shape, typeId: type.id, bytes, write: (handle) => convert(checkpoint, tensor, type, handle) });
  }
  const factors = ropeFactors(checkpoint.config);
  if (factors) {
    const bytes = new Uint8Array(factors.buffer);
    tensors.push({
      ...{ name: "rope_freqs.weight", shape: [factors.length], typeId: f32.id, bytes: bytes.length },
      write: (handle) => handle.writeFile(bytes),
    });
  }
  await writeGguf(path, metadata, tensors, (done, total) =>
    onProgress?.({ step: "write gguf", done, total, unit: "bytes" }),
  );
}

/**
 * A tensor of the file that the model comes from, if its values are still the model's: its blocks then need no second rounding. Only blocks that are
 * no larger than those asked for; 16 bits are written anew.
 */
async function untouched(
  checkpoint: Checkpoint,
  tensor: TensorInfo,
  type: GgmlWriter,
): Promise<GgufTensor | undefined> {
  const origin = checkpoint.gguf?.tensors.get(tensor.name);
  if (!origin || type === f16 || type === bf16 || origin.end - origin.start > bytesOf(tensor, type)) return undefined;
  const stored = await origin.values();
  const { data } = await checkpoint.read(tensor.name);
  return data.length === stored.length && data.every((bits, i) => bits === stored[i]) ? origin : undefined;
}

async function copy({ source, start, end }: GgufTensor, handle: FileHandle): Promise<void> {
  for await (const piece of source.pieces(start, end, 2 ** 24)) await handle.writeFile(piece);
}

/** A tensor as the type asked for, rows in GGUF's order and norms as what they multiply by. */
async function convert(
  checkpoint: Checkpoint,
  { name, shape }: TensorInfo,
  type: GgmlWriter,
  handle: FileHandle,
): Promise<void> {
  const { config } = checkpoint;
  const plus = weightOffset(config, name);
  // Where they are known, the values before they were rounded to bfloat16.
  const own = (await checkpoint.readFloat32?.(name)) ?? (await checkpoint.read(name)).data;
  const data = hasPairedRows(config, name) ? pairRows(own, shape[0]!, config.head_dim) : own;
  for (let start = 0; start < data.length; start += chunkElements) {
    const part = data.subarray(start, start + chunkElements);
    const values = part instanceof Float32Array ? part.slice() : bf16ToFloat32(part);
    if (plus !== 0) for (let i = 0; i < values.length; i++) values[i]! += plus;
    if (type === f16) checkRange(values, name);
    const bytes = new Uint8Array((values.length / type.elements) * type.bytes);
    type.encode(values, bytes);
    await handle.writeFile(bytes);
  }
}

function checkRange(values: Float32Array, name: string): void {
  const beyond = values.find((value) => Math.abs(value) >= 65_520);
  if (beyond === undefined) return;
  throw new PrunelabError(`weight is too large for float16: ${name}: ${beyond}; choose gguf:bf16`);
}

/** Opens the file as any other and compares each tensor: a zero is zero, and no weight is further off than its type allows. */
async function check(checkpoint: Checkpoint, path: string, form: GgufForm): Promise<string> {
  const again = await openCheckpointFile(path);
  const wrong = (what: string) => notAsWritten(path, what);
  const counts = new Map<string, number>();
  let copied = 0;
  let narrow = 0;
  for (const tensor of modelTensors(checkpoint.config)) {
    const { name } = tensor;
    const stored = again.gguf!.tensors.get(name)!;
    const type = typeOf(tensor, form);
    counts.set(stored.type.name, (counts.get(stored.type.name) ?? 0) + 1);
    if (stored.type.name !== type.name) copied += 1;
    if (type === f16 && form.type !== f16) narrow += 1;
    const [seen, own] = [await stored.values(), (await checkpoint.read(name)).data];
    const at =
      stored.type.name === type.name
        ? firstWrong(own, seen, type, weightOffset(checkpoint.config, name))
        : firstOther(own, seen);
    if (at >= 0) throw wrong(`${name}, element ${at}`);
  }
  const tokens = (await tokenizerMetadata(checkpoint))["tokenizer.ggml.tokens"];
  const read = again.gguf!.metadata["tokenizer.ggml.tokens"] as readonly string[];
  if (!Array.isArray(tokens?.value) || tokens.value.some((token, id) => read[id] !== token)) throw wrong("its tokens");
  const types = [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
  return [
    `tensors: ${types}`,
    ...(copied > 0 ? [`${copied} of them with the base's own blocks`] : []),
    ...(narrow > 0 ? [`${narrow} in F16, since their rows do not divide into blocks of ${form.type.elements}`] : []),
  ].join("; ");
}

/** The first element that is further off than the type allows, or -1. All are bfloat16, rounded once more on reading. */
function firstWrong(
  own: Uint16Array,
  seen: Uint16Array,
  { elements, loss: [ofLargest, ofItself] }: GgmlWriter,
  plus: number,
): number {
  const block = elements === 1 ? 2 ** 12 : elements;
  for (let start = 0; start < own.length; start += chunkElements) {
    const a = bf16ToFloat32(own.subarray(start, start + chunkElements));
    const b = bf16ToFloat32(seen.subarray(start, start + chunkElements));
    for (let from = 0; from < a.length; from += block) {
      const to = Math.min(from + block, a.length);
      let largest = 0;
      for (let i = from; i < to; i++) largest = Math.max(largest, Math.abs(a[i]!));
      // A step is a float16, and what was read is rounded to bfloat16.
      const least = ofLargest * 1.01 * largest + (elements > 1 ? 2 ** -17 : 2 ** -22);
      for (let i = from; i < to; i++) {
        if (plus === 0 && a[i] === 0 && b[i] !== 0) return start + i;
        if (!(Math.abs(a[i]! - b[i]!) <= least + (ofItself + 2 ** -8) * Math.abs(a[i]!))) return start + i;
      }
    }
  }
  return -1;
}

function firstOther(own: Uint16Array, seen: Uint16Array): number {
  return own.findIndex((bits, i) => bits !== seen[i]);
}

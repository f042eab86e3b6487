/** safetensors files of float32 or bool tensors with a JSON text inside: what training keeps and hands on. */
import { createFileAtomic } from "../base/atomic.ts";
import { parseJsonObject } from "../base/json.ts";
import { fileSource } from "../checkpoint/byte-source.ts";
import { readSafetensorsHeader } from "../checkpoint/safetensors.ts";
import { elementCount } from "../checkpoint/tensor.ts";
import { PrunelabError } from "../errors.ts";

/** Row-major; bytes of 0 and 1 are bools. */
export interface FileTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array;
}

const noteName = "prunelab.json";

/**
 * Writes a file whole or not at all.
 *
 * @param note Goes into the file as a tensor of bytes, in JSON.
 * @throws PrunelabError when the disk is full or the folder cannot be written.
 */
export async function writeTensorFile(
  path: string,
  tensors: ReadonlyMap<string, FileTensor>,
  note?: Record<string, unknown>,
): Promise<void> {
  const entries: { name: string; dtype: string; shape: readonly number[]; bytes: Uint8Array }[] = [];
  for (const [name, { shape, data }] of tensors) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    entries.push({ name, dtype: data instanceof Float32Array ? "F32" : "BOOL", shape, bytes });
  }
  if (note) {
    const bytes = new TextEncoder().encode(JSON.stringify(note));
    entries.push({ name: noteName, dtype: "U8", shape: [bytes.length], bytes });
  }
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, dtype, shape, bytes } of entries) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);
  await createFileAtomic(path, async (handle) => {
    await handle.writeFile(head);
    for (const { bytes } of entries) await handle.writeFile(bytes);
  });
}

/**
 * Reads float32 and bool tensors; bfloat16 and float16 ones are refused.
 *
 * @throws PrunelabError when the file is missing, damaged or holds other types.
 */
export async function readTensorFile(
  path: string,
): Promise<{ tensors: Map<string, FileTensor>; note?: Record<string, unknown> }> {
  const tensors = new Map<string, FileTensor>();
  let note: Record<string, unknown> | undefined;
  for (const { name, dtype, shape, source, start, end } of (
    await readSafetensorsHeader(await fileSource(path))
  ).values()) {
    const bytes = await source.slice(start, end);
    if (name === noteName) note = parseJsonObject(new TextDecoder().decode(bytes), path);
    else if (dtype === "F32") {
      // A copy, since the bytes may lie anywhere in a buffer.
      const data = new Float32Array(elementCount(shape));
      new Uint8Array(data.buffer).set(bytes);
      tensors.set(name, { shape, data });
    } else if (dtype === "BOOL") tensors.set(name, { shape, data: new Uint8Array(bytes) });
    else throw new PrunelabError(`unsupported dtype of ${name}: ${dtype}: ${path}; save it as F32`);
  }
  return { tensors, ...(note && { note }) };
}

/** Writes a GGUF file, version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). */
import type { FileHandle } from "node:fs/promises";
import { createFileAtomic } from "../base/atomic.ts";

/** A value of the metadata with its type in the file. */
export type GgufValue =
  | { readonly type: "u32" | "i32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "bools"; readonly value: readonly boolean[] }
  | { readonly type: "f32s" | "i32s"; readonly value: readonly number[] };

export type GgufMetadata = Readonly<Record<string, GgufValue>>;

/** Numbers of the specification; arrays are 9 with the element's type after it. */
const typeIds = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8 } as const;
const arrayId = 9;
export const alignment = 32;

export interface GgufTensorPlan {
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  readonly typeId: number;
  readonly bytes: number;
  /** Writes exactly `bytes` bytes. */
  readonly write: (handle: FileHandle) => Promise<void>;
}

/** @param onWritten Called after each tensor with the bytes written so far and in all. */
export async function writeGguf(
  path: string,
  metadata: GgufMetadata,
  tensors: readonly GgufTensorPlan[],
  onWritten?: (bytes: number, total: number) => void,
): Promise<void> {
  const total = tensors.reduce((sum, { bytes }) => sum + aligned(bytes), 0);
  await createFileAtomic(path, async (handle) => {
    const head = encodeHead(metadata, tensors);
    await handle.writeFile(head);
    await handle.writeFile(new Uint8Array(aligned(head.length) - head.length));
    let written = 0;
    for (const { bytes, write } of tensors) {
      await write(handle);
      await handle.writeFile(new Uint8Array(aligned(bytes) - bytes));
      written += aligned(bytes);
      onWritten?.(written, total);
    }
  });
}

export function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Everything before the padding in front of the first tensor. */
export function encodeHead(metadata: GgufMetadata, tensors: readonly GgufTensorPlan[]): Uint8Array {
  const entries = Object.entries(metadata);
  const parts: Uint8Array[] = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(entries.length)];
  for (const [key, value] of entries) parts.push(text(key), encodeValue(value));
  let offset = 0;
  for (const { name, shape, typeId, bytes } of tensors) {
    parts.push(text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(typeId), u64(offset));
    offset += aligned(bytes);
  }
  return Buffer.concat(parts);
}

function encodeValue(of: GgufValue): Uint8Array {
  switch (of.type) {
    case "strings":
      return array("string", of.value.map(text));
    case "bools":
      return array("bool", [Uint8Array.from(of.value, Number)], of.value.length);
    case "f32s":
      return array("f32", [new Uint8Array(Float32Array.from(of.value).buffer)], of.value.length);
    case "i32s":
      return array("i32", [new Uint8Array(Int32Array.from(of.value).buffer)], of.value.length);
    default:
      return Buffer.concat([u32(typeIds[of.type]), encodeScalar(of)]);
  }
}

function encodeScalar(of: Extract<GgufValue, { type: keyof typeof typeIds }>): Uint8Array {
  if (of.type === "string") return text(of.value);
  if (of.type === "bool") return Uint8Array.of(Number(of.value));
  if (of.type === "f32") return new Uint8Array(Float32Array.of(of.value).buffer);
  return of.type === "i32" ? new Uint8Array(Int32Array.of(of.value).buffer) : u32(of.value);
}

function array(element: keyof typeof typeIds, parts: readonly Uint8Array[], length = parts.length): Uint8Array {
  return Buffer.concat([u32(arrayId), u32(typeIds[element]), u64(length), ...parts]);
}

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

/** Writes small GGUF files, for tests and for data/tiny-gemma3. */
import { GGUFValueType, serializeGgufMetadata } from "@huggingface/gguf";

/** A tensor as it goes into the file: `type` is ggml's number, `shape` outermost dimension first. */
export interface GgufInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** The value with the type that llama.cpp's converter gives such a key. */
function typed(key: string, value: unknown): { value: never; type: GGUFValueType; subType?: GGUFValueType } {
  const one = (item: unknown): GGUFValueType => {
    if (typeof item === "string") return GGUFValueType.STRING;
    if (typeof item === "boolean") return GGUFValueType.BOOL;
    if (typeof item === "bigint") return GGUFValueType.UINT64;
    if (/scores|epsilon|freq_base|factor/.test(key)) return GGUFValueType.FLOAT32;
    return key.endsWith("token_type") ? GGUFValueType.INT32 : GGUFValueType.UINT32;
  };
  return Array.isArray(value)
    ? { value: value as never, type: GGUFValueType.ARRAY, subType: one(value[0]) }
    : { value: value as never, type: one(value) };
}

/** The bytes of a GGUF file. */
export function encodeGguf(
  metadata: Readonly<Record<string, unknown>>,
  tensors: readonly GgufInput[],
  options: { readonly version?: 2 | 3; readonly alignment?: number } = {},
): Uint8Array {
  const { version = 3, alignment = 32 } = options;
  const pad = (length: number) => Math.ceil(length / alignment) * alignment;
  const head = serializeGgufMetadata(
    {
      version: { value: version, type: GGUFValueType.UINT32 },
      tensor_count: { value: BigInt(tensors.length), type: GGUFValueType.UINT64 },
      kv_count: { value: 0n, type: GGUFValueType.UINT64 },
      ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, typed(key, value)])),
    } as Parameters<typeof serializeGgufMetadata>[0],
    // Without padding: the tensor infos follow at once.
    { alignment: 1 },
  );
  const parts: Uint8Array[] = [head];
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    const text = Buffer.from(name);
    const info = Buffer.alloc(8 + text.length + 4 + 8 * shape.length + 4 + 8);
    info.writeBigUInt64LE(BigInt(text.length));
    text.copy(info, 8);
    info.writeUInt32LE(shape.length, 8 + text.length);
    // GGUF lists the innermost dimension first.
    for (const [i, size] of shape.toReversed().entries()) info.writeBigUInt64LE(BigInt(size), 12 + text.length + 8 * i);
    info.writeUInt32LE(type, info.length - 12);
    info.writeBigUInt64LE(BigInt(offset), info.length - 8);
    parts.push(info);
    offset += pad(bytes.length);
  }
  const infoEnd = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(new Uint8Array(pad(infoEnd) - infoEnd));
  for (const { bytes } of tensors) parts.push(bytes, new Uint8Array(pad(bytes.length) - bytes.length));
  return new Uint8Array(Buffer.concat(parts));
}

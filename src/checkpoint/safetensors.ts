/**
 * Reads and writes safetensors files, whole or sharded.
 * Format: https://github.com/huggingface/safetensors#format (eight bytes of header length, a JSON header, the tensors).
 */
import { dirname, join } from "node:path";
import { createFileAtomic } from "../base/atomic.ts";
import { parseJsonObject, readJsonObject } from "../base/json.ts";
import { PrunelabError } from "../errors.ts";
import { type ByteSource, fileSource, formatBytes } from "./byte-source.ts";
import { float16ToFloat32, float32ToBf16 } from "./half.ts";
import { elementCount, type Tensor, type TensorInfo } from "./tensor.ts";

/** The reference implementation's own limit. */
const maxHeaderBytes = 100_000_000;
/** The most of a tensor that is held besides its result while it is converted. */
const chunkBytes = 2 ** 24;

/** Bits of one element. The sub-byte types are told apart from nonsense, though we read none of them. */
const bitsByDtype: Readonly<Record<string, number>> = {
  ...{ F32: 32, F16: 16, BF16: 16, F64: 64, C64: 64 },
  ...{ I64: 64, U64: 64, I32: 32, U32: 32, I16: 16, U16: 16, I8: 8, U8: 8, BOOL: 8 },
  ...{ F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F6_E2M3: 6, F6_E3M2: 6, F4: 4 },
};

/** Where a tensor lies and how it is stored. */
export interface SafetensorsEntry extends TensorInfo {
  /** As the header spells it: `"BF16"`, `"F32"`, … */
  readonly dtype: string;
  readonly source: ByteSource;
  /** Offsets in the file; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

/**
 * The tensors of one file, by name. Every length and offset is checked: the tensors must fill the file without gap or
 * overlap, as the format demands.
 *
 * @throws PrunelabError when the file is cut off or corrupt.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<Map<string, SafetensorsEntry>> {
  const where = source.name;
  const corrupt = (what: string) => new PrunelabError(`safetensors header ${what}: ${where}; download it again`);
  if (source.byteLength < 8) throw cutOff(where, 8, source.byteLength);
  const length = Number(new DataView((await source.slice(0, 8)).buffer).getBigUint64(0, true));
  if (length > maxHeaderBytes) throw corrupt(`claims ${formatBytes(length)}, more than the format allows`);
  const dataStart = 8 + length;
  if (dataStart > source.byteLength) throw cutOff(where, dataStart, source.byteLength);
  const text = new TextDecoder().decode(await source.slice(8, dataStart));
  const header = parseJsonObject(text, `safetensors header of ${where}`);

  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    if (typeof dtype !== "string" || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
      throw corrupt(`has no dtype, shape and data_offsets for ${name}`);
    }
    const [start, end] = offsets as [number, number];
    const bits = bitsByDtype[dtype];
    if (bits === undefined) throw corrupt(`has an unknown dtype for ${name}, "${dtype}"`);
    // In floating point an overflow gives a huge number, not a small one, so it never equals a real length.
    if (start > end || (elementCount(shape) * bits) / 8 !== end - start) {
      throw corrupt(`gives ${name} ${start} to ${end}, which does not fit ${dtype}[${shape}]`);
    }
    entries.push({ name, dtype, shape, source, start: dataStart + start, end: dataStart + end });
  }

  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let filled = dataStart;
  for (const entry of entries) {
    if (entry.start < filled) throw corrupt(`lets ${entry.name} overlap the tensor before it`);
    if (entry.start > filled) throw corrupt(`leaves a gap before ${entry.name}`);
    filled = entry.end;
  }
  if (filled > source.byteLength) throw cutOff(where, filled, source.byteLength);
  if (filled < source.byteLength) {
    throw corrupt(`accounts for ${formatBytes(filled)} of ${formatBytes(source.byteLength)}`);
  }
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function cutOff(where: string, needed: number, has: number): PrunelabError {
  return new PrunelabError(
    `safetensors file is cut off: ${where}: needs ${formatBytes(needed)}, has ${formatBytes(has)}; download it again`,
  );
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/**
 * The tensors of a model in several files, by its `model.safetensors.index.json`.
 *
 * @throws PrunelabError also when the index names a file outside its folder, or a tensor that its file does not hold.
 */
export async function readSafetensorsIndex(indexPath: string): Promise<Map<string, SafetensorsEntry>> {
  const { weight_map: weightMap } = await readJsonObject(indexPath);
  if (typeof weightMap !== "object" || weightMap === null) {
    throw new PrunelabError(`safetensors index has no weight_map: ${indexPath}; download it again`);
  }
  const entries = new Map<string, SafetensorsEntry>();
  const shards = new Map<string, Map<string, SafetensorsEntry>>();
  for (const [name, file] of Object.entries(weightMap)) {
    if (typeof file !== "string" || !/^[^/\\]+\.safetensors$/.test(file)) {
      throw new PrunelabError(`safetensors index names no file beside it for ${name}: ${indexPath}; download it again`);
    }
    let shard = shards.get(file);
    if (!shard) {
      shard = await readSafetensorsHeader(await fileSource(join(dirname(indexPath), file)));
      shards.set(file, shard);
    }
    const entry = shard.get(name);
    if (!entry) {
      throw new PrunelabError(
        `missing tensor: ${name} is not in ${file}, where the index says it is; download both again`,
      );
    }
    entries.set(name, entry);
  }
  return entries;
}

/** Whether {@link readSafetensorsTensor} can read a dtype. */
export function isReadableDtype(dtype: string): boolean {
  return dtype === "BF16" || dtype === "F16" || dtype === "F32";
}

/**
 * Reads one tensor as bfloat16, by its own byte range; float16 and float32 are rounded to nearest even. Holds at most
 * 32 MiB besides the result.
 */
export async function readSafetensorsTensor(entry: SafetensorsEntry): Promise<Uint16Array> {
  const { source, start, end, dtype } = entry;
  if (!isReadableDtype(dtype)) {
    throw new PrunelabError(`unsupported dtype of ${entry.name}: ${dtype}: ${source.name}; use F32, F16 or BF16`);
  }
  if (dtype === "BF16") return new Uint16Array((await source.slice(start, end)).buffer);
  const result = new Uint16Array(elementCount(entry.shape));
  let at = 0;
  for await (const { buffer, length } of source.pieces(start, end, chunkBytes)) {
    const values =
      dtype === "F32"
        ? new Float32Array(buffer, 0, length / 4)
        : float16ToFloat32(new Uint16Array(buffer, 0, length / 2));
    float32ToBf16(values, result, at);
    at += values.length;
  }
  return result;
}

/** What a file's header says of a tensor that is to be written. */
export interface SafetensorsPlan extends TensorInfo {
  readonly dtype: string;
}

/** The bytes that a tensor takes. */
export function bytesOfTensor({ shape, dtype }: SafetensorsPlan): number {
  return (elementCount(shape) * bitsByDtype[dtype]!) / 8;
}

interface WriteOptions {
  /** Called after each tensor with the bytes written so far and in all. */
  readonly onWritten?: (bytes: number, totalBytes: number) => void;
  /** Awaited when all is written, before the file gets its name. */
  readonly beforeVisible?: () => Promise<void>;
}

/**
 * Writes bfloat16 tensors to one file, in the order given, holding one of them at a time; the file appears under its
 * name only when it is complete.
 *
 * @param read - gives the tensor of each name; its shape must be the one in `tensors`.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorInfo>,
  read: (name: string) => Promise<Tensor>,
  options: WriteOptions = {},
): Promise<void> {
  const plans = [...tensors].map(({ name, shape }) => ({ name, shape, dtype: "BF16" }));
  await writeSafetensorsBytes(path, plans, async (name) => (await read(name)).data, options);
}

/** The same for tensors of any dtype, as their elements lie in memory. */
export async function writeSafetensorsBytes(
  path: string,
  tensors: readonly SafetensorsPlan[],
  read: (name: string) => Promise<Pick<Uint8Array, "buffer" | "byteOffset" | "byteLength">>,
  options: WriteOptions = {},
): Promise<void> {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const tensor of tensors) {
    const end = offset + bytesOfTensor(tensor);
    header[tensor.name] = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // Padded with spaces to a multiple of 8, so that the data is aligned; other readers map it as it lies.
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);
  await createFileAtomic(path, async (handle) => {
    await handle.writeFile(head);
    let written = 0;
    for (const tensor of tensors) {
      const { buffer, byteOffset, byteLength } = await read(tensor.name);
      if (byteLength !== bytesOfTensor(tensor)) {
        throw new RangeError(`wrong length of ${tensor.name}: ${byteLength} bytes for ${tensor.shape.join(" × ")}`);
      }
      await handle.writeFile(new Uint8Array(buffer, byteOffset, byteLength));
      written += byteLength;
      options.onWritten?.(written, offset);
    }
    await options.beforeVisible?.();
  });
}

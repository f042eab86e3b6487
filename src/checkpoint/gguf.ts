/**
 * Reads GGUF files, version 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Every size and offset is checked against the file
 * before anything is allocated.
 */
import { PrunelabError } from "../errors.ts";
import { type ByteSource, formatBytes } from "./byte-source.ts";
import { type GgmlType, ggmlTypes } from "./dequantize.ts";
import { readGgufHeader } from "./gguf-header.ts";
import { float32ToBf16 } from "./half.ts";
import { elementCount, type TensorInfo } from "./tensor.ts";

/** Elements that are expanded at a time: 256 kB as float32, which a core's cache holds. A multiple of every block. */
const chunkElements = 2 ** 16;
/** Chunks to one read of the file: 16 Mi elements. */
const chunksPerRead = 2 ** 8;
const maxAlignment = 2 ** 20;

/** Where a tensor lies and how it is stored. */
export interface GgufTensor extends TensorInfo {
  readonly type: GgmlType;
  readonly source: ByteSource;
  /** Offsets in the file; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

export interface GgufFile {
  /** By GGUF's own keys; 64-bit numbers as bigint. Arrays are decoded when they are first asked for. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** By GGUF's own names. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Whether the file starts as every GGUF does. */
export async function isGguf(source: ByteSource): Promise<boolean> {
  return source.byteLength >= 4 && new TextDecoder().decode(await source.slice(0, 4)) === "GGUF";
}

/**
 * The metadata and the tensors' places.
 *
 * @throws PrunelabError when the file is cut off, corrupt, of another version, or big-endian, or has a tensor of an
 *   unknown type.
 */
export async function readGguf(source: ByteSource): Promise<GgufFile> {
  const where = source.name;
  const corrupt = (what: string) => new PrunelabError(`gguf header ${what}: ${where}; download it again`);
  if (!(await isGguf(source))) throw new PrunelabError(`not a gguf file: ${where}; check the path`);
  if (source.byteLength < 24) throw cutOff(where, 24, source.byteLength);
  const version = new DataView((await source.slice(4, 8)).buffer);
  if (![2, 3].includes(version.getUint32(0, true))) {
    const isBig = [2, 3].includes(version.getUint32(0, false));
    throw new PrunelabError(
      `unsupported gguf: ${where}: ${isBig ? "big-endian" : `version ${version.getUint32(0, true)}`}; ` +
        "needs version 2 or 3, little-endian; convert the model again",
    );
  }
  const { metadata, tensors: descriptions, end: headerEnd } = await readGgufHeader(source);
  const alignment = Number(metadata["general.alignment"] ?? 32);
  if (!(alignment <= maxAlignment && Number.isInteger(Math.log2(alignment)))) {
    throw corrupt(`has general.alignment ${alignment}, which is not a power of two`);
  }
  const dataStart = Math.ceil(headerEnd / alignment) * alignment;

  const tensors = new Map<string, GgufTensor>();
  for (const { name, dimensions, type: number, offset } of descriptions) {
    const type = ggmlTypes.get(number);
    if (!type) {
      throw new PrunelabError(
        `unsupported ggml type of ${name}: ${number}: ${where}; ` +
          `use a file of ${[...ggmlTypes.values()].map(({ name }) => name).join(", ")}`,
      );
    }
    const shape = dimensions.toReversed();
    const row = shape.at(-1) ?? 1;
    if (row % type.elements !== 0) {
      throw corrupt(`gives ${name} the shape ${shape.join(" × ")}, which no ${type.name} tensor can have`);
    }
    const start = dataStart + offset;
    const end = start + (elementCount(shape) / type.elements) * type.bytes;
    if (start % alignment !== 0) throw corrupt(`gives ${name} an offset that is not aligned`);
    if (!(end <= source.byteLength)) throw cutOff(where, end, source.byteLength);
    if (tensors.has(name)) throw corrupt(`names ${name} twice`);
    tensors.set(name, { name, shape, type, source, start, end });
  }
  let filled = dataStart;
  for (const { name, start, end } of [...tensors.values()].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start < filled) throw corrupt(`lets ${name} overlap the tensor before it`);
    filled = end;
  }
  return { metadata, tensors };
}

function cutOff(where: string, needed: number, has: number): PrunelabError {
  return new PrunelabError(
    `gguf file is cut off: ${where}: needs ${formatBytes(needed)}, has ${formatBytes(has)}; download it again`,
  );
}

/**
 * Reads one tensor as bfloat16, by its own byte range: expanded to float32 as ggml does, then rounded to nearest even.
 *
 * @param plus - added to every element in float32, before the rounding.
 */
export async function readGgufTensor(tensor: GgufTensor, plus = 0): Promise<Uint16Array> {
  const { type, source, start, end } = tensor;
  const result = new Uint16Array(elementCount(tensor.shape));
  const scratch = new Float32Array(Math.min(chunkElements, result.length));
  const chunkBytes = (chunkElements / type.elements) * type.bytes;
  let at = 0;
  for await (const bytes of source.pieces(start, end, chunksPerRead * chunkBytes)) {
    for (let from = 0; from < bytes.length; from += chunkBytes) {
      const chunk = bytes.subarray(from, from + chunkBytes);
      const values = scratch.subarray(0, (chunk.length / type.bytes) * type.elements);
      type.dequantize(chunk, values);
      if (plus !== 0) for (let i = 0; i < values.length; i++) values[i]! += plus;
      float32ToBf16(values, result, at);
      at += values.length;
    }
  }
  return result;
}

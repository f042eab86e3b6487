/**
 * Reads GGUF files, version 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). The header is parsed by
 * `@huggingface/gguf`; every size and offset in it is checked here against the file before anything is allocated.
 */
import type { GGUFParseOutput } from "@huggingface/gguf";
import { messageOf, PrunelabError } from "../errors.ts";
import { type ByteSource, formatBytes } from "./byte-source.ts";
import { type GgmlType, ggmlTypes } from "./dequantize.ts";
import { readGgufTokens } from "./gguf-tokens.ts";
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
  /** By GGUF's own keys; 64-bit numbers as bigint. */
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
  const { metadata, tensorInfos, tensorInfoByteRange } = await parse(source);
  // The parser pads what it reads with zeros, so a file that ends inside its header may have been parsed all the same.
  const headerEnd = tensorInfoByteRange[1];
  if (headerEnd > source.byteLength) throw cutOff(where, headerEnd, source.byteLength);
  const alignment = Number(metadata["general.alignment"] ?? 32);
  if (!(alignment <= maxAlignment && Number.isInteger(Math.log2(alignment)))) {
    throw corrupt(`has general.alignment ${alignment}, which is not a power of two`);
  }
  const dataStart = Math.ceil(headerEnd / alignment) * alignment;

  const tensors = new Map<string, GgufTensor>();
  for (const info of tensorInfos) {
    const type = ggmlTypes.get(info.dtype);
    if (!type) {
      throw new PrunelabError(
        `unsupported ggml type of ${info.name}: ${info.dtype}: ${where}; ` +
          `use a file of ${[...ggmlTypes.values()].map(({ name }) => name).join(", ")}`,
      );
    }
    const shape = info.shape.map(Number).reverse();
    const row = shape.at(-1) ?? 1;
    if (shape.length > 4 || row % type.elements !== 0) {
      throw corrupt(`gives ${info.name} the shape ${shape.join(" × ")}, which no ${type.name} tensor can have`);
    }
    const start = dataStart + Number(info.offset);
    const end = start + (elementCount(shape) / type.elements) * type.bytes;
    if (start % alignment !== 0) throw corrupt(`gives ${info.name} an offset that is not aligned`);
    if (!(end <= source.byteLength)) throw cutOff(where, end, source.byteLength);
    if (tensors.has(info.name)) throw corrupt(`names ${info.name} twice`);
    tensors.set(info.name, { name: info.name, shape, type, source, start, end });
  }
  let filled = dataStart;
  for (const { name, start, end } of [...tensors.values()].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start < filled) throw corrupt(`lets ${name} overlap the tensor before it`);
    filled = end;
  }
  if (metadata["tokenizer.ggml.tokens"] !== undefined) {
    metadata["tokenizer.ggml.tokens"] = readGgufTokens(await source.slice(0, tensorInfoByteRange[0]));
  }
  return { metadata, tensors };
}

/** Runs the parser over the source's bytes, handed to it as if they came from an address. */
async function parse(source: ByteSource): Promise<GGUFParseOutput<{ strict: false }>> {
  try {
    const { gguf } = await import("@huggingface/gguf");
    const parsed = await gguf("https://file.invalid/", {
      fetch: async (_address, init) => {
        const range = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init?.headers).get("range") ?? "");
        const [start, last] = [Number(range?.[1]), Number(range?.[2])];
        // Without this, the parser would go on reading zeros behind the end of a file that is cut off.
        if (start >= source.byteLength) throw cutOff(source.name, start + 1, source.byteLength);
        return new Response(await source.slice(start, Math.min(last + 1, source.byteLength)));
      },
    });
    return parsed as GGUFParseOutput<{ strict: false }>;
  } catch (error) {
    if (error instanceof PrunelabError) throw error;
    throw new PrunelabError(`gguf header is corrupt: ${source.name}: ${messageOf(error)}; download it again`, {
      cause: error,
    });
  }
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

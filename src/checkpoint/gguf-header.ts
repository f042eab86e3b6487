/** Parses the header of a GGUF: its metadata and the descriptions of its tensors. Arrays, most of its bytes, are decoded when they are asked for. */
import { PrunelabError } from "../errors.ts";
import { type ByteSource, formatBytes } from "./byte-source.ts";

/** A tensor as the header describes it, yet unchecked. */
export interface TensorDescription {
  readonly name: string;
  /** Innermost dimension first, as the file has it. */
  readonly dimensions: readonly number[];
  /** ggml's number of the type. */
  readonly type: number;
  /** From the start of the data. */
  readonly offset: number;
}

export interface GgufHeader {
  /** By GGUF's own keys; 64-bit numbers as bigint. An array is decoded when it is first asked for. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly TensorDescription[];
  /** The first byte after the descriptions. */
  readonly end: number;
}

/** The value types of the specification; those of a fixed size with their bytes and how one is read. */
const stringType = 8;
const arrayType = 9;
const numberTypes: Readonly<Record<number, readonly [bytes: number, read: (view: DataView, at: number) => unknown]>> = {
  0: [1, (view, at) => view.getUint8(at)],
  1: [1, (view, at) => view.getInt8(at)],
  2: [2, (view, at) => view.getUint16(at, true)],
  3: [2, (view, at) => view.getInt16(at, true)],
  4: [4, (view, at) => view.getUint32(at, true)],
  5: [4, (view, at) => view.getInt32(at, true)],
  6: [4, (view, at) => view.getFloat32(at, true)],
  7: [1, (view, at) => view.getUint8(at) !== 0],
  10: [8, (view, at) => view.getBigUint64(at, true)],
  11: [8, (view, at) => view.getBigInt64(at, true)],
  12: [8, (view, at) => view.getFloat64(at, true)],
};

/** Where the counts stand, after magic and version. */
const countsAt = 8;
const firstRead = 2 ** 20;
/** Far above what real files have. */
const longestHeader = 2 ** 30;
const deepestArrays = 4;
/** ggml has no more. */
const mostDimensions = 4;

/**
 * Reads the header of a file whose magic and version were looked at.
 *
 * @throws PrunelabError when it is cut off or corrupt.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  for (let length = firstRead; ; length *= 4) {
    const bytes = await source.slice(0, Math.min(length, source.byteLength));
    try {
      return parse(bytes, source.name);
    } catch (error) {
      if (!(error instanceof OutOfBytes)) throw error;
      if (error.needed > source.byteLength) {
        throw new PrunelabError(
          `gguf file is cut off: ${source.name}: needs ${formatBytes(error.needed)}, has ${formatBytes(source.byteLength)}; download it again`,
        );
      }
      if (length > longestHeader) {
        throw new PrunelabError(
          `gguf header is corrupt: ${source.name}: it is longer than ${formatBytes(longestHeader)}; download it again`,
        );
      }
      length = Math.max(length, error.needed / 4);
    }
  }
}

class OutOfBytes extends Error {
  readonly needed: number;
  constructor(needed: number) {
    super(`needs ${needed} bytes`);
    this.needed = needed;
  }
}

function parse(bytes: Uint8Array<ArrayBuffer>, where: string): GgufHeader {
  const reader = new Reader(bytes, where);
  reader.skip(countsAt);
  const [tensorCount, pairCount] = [reader.size(), reader.size()];
  const metadata: Record<string, unknown> = {};
  for (let left = pairCount; left > 0; left--) {
    const key = reader.text();
    Object.defineProperty(metadata, key, { ...reader.value(reader.uint32()), enumerable: true, configurable: true });
  }
  const tensors: TensorDescription[] = [];
  for (let left = tensorCount; left > 0; left--) {
    const name = reader.text();
    const count = reader.uint32();
    if (count > mostDimensions) throw reader.corrupt(`gives ${name} ${count} dimensions`);
    const dimensions = Array.from({ length: count }, () => reader.size());
    tensors.push({ name, dimensions, type: reader.uint32(), offset: reader.size() });
  }
  return { metadata, tensors, end: reader.at };
}

class Reader {
  at = 0;
  private readonly bytes: Buffer;
  private readonly view: DataView;
  private readonly where: string;

  constructor(bytes: Uint8Array<ArrayBuffer>, where: string) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.where = where;
  }

  corrupt(what: string): PrunelabError {
    return new PrunelabError(`gguf header is corrupt: ${this.where}: it ${what}; download it again`);
  }

  /** Goes on by so many bytes; gives where they begin. */
  skip(length: number): number {
    const from = this.at;
    if (!(from + length <= this.bytes.length)) throw new OutOfBytes(from + length);
    this.at += length;
    return from;
  }

  uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  /** A count, length or offset. Above 2^53 it loses its last digits, and is beyond any file all the same. */
  size(): number {
    return Number(this.view.getBigUint64(this.skip(8), true));
  }

  text(): string {
    const length = this.size();
    const from = this.skip(length);
    return this.bytes.toString("utf8", from, from + length);
  }

  /** The next value, as a property's descriptor. */
  value(type: number): PropertyDescriptor {
    if (type !== arrayType) return { value: this.scalar(type) };
    const from = this.at;
    this.skipArray(0);
    const again = new Reader(this.bytes as Buffer<ArrayBuffer>, this.where);
    let decoded: unknown;
    return {
      get() {
        again.at = from;
        decoded ??= again.array();
        return decoded;
      },
    };
  }

  private scalar(type: number): unknown {
    if (type === stringType) return this.text();
    const [size, read] = this.numberType(type);
    return read(this.view, this.skip(size));
  }

  private numberType(type: number) {
    const known = numberTypes[type];
    if (!known) throw this.corrupt(`has a value of the unknown type ${type}`);
    return known;
  }

  private array(): unknown[] {
    const [type, count] = [this.uint32(), this.size()];
    return Array.from({ length: count }, () => (type === arrayType ? this.array() : this.scalar(type)));
  }

  private skipArray(depth: number): void {
    if (depth === deepestArrays) throw this.corrupt(`has arrays within arrays, ${depth} deep`);
    const [type, count] = [this.uint32(), this.size()];
    if (type === stringType) for (let left = count; left > 0; left--) this.skip(this.size());
    else if (type === arrayType) for (let left = count; left > 0; left--) this.skipArray(depth + 1);
    else this.skip(this.numberType(type)[0] * count);
  }
}

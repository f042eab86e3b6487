/**
 * Encodes the few protobuf messages that an ONNX model is made of.
 * Field numbers are those of onnx.proto3 (github.com/onnx/onnx); only what we write is here, and nothing is read back.
 */

type Bytes = Uint8Array;

const utf8 = new TextEncoder();

function varint(value: number | bigint): Bytes {
  // Negative int64 values take ten bytes, as two's complement.
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

/** A message is the concatenation of its fields, in any order. */
export function message(...fields: readonly (Bytes | readonly Bytes[])[]): Bytes {
  return Buffer.concat(fields.flat() as Bytes[]);
}

export function int(field: number, value: number | bigint): Bytes {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

export function float(field: number, value: number): Bytes {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), bytes]);
}

export function bytes(field: number, value: Bytes): Bytes {
  return Buffer.concat([varint((field << 3) | 2), varint(value.length), value]);
}

export function text(field: number, value: string): Bytes {
  return bytes(field, utf8.encode(value));
}

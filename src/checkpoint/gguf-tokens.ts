/** Reads a GGUF's vocabulary from its bytes, since `@huggingface/gguf` reads six of Gemma's tokens wrongly. */
import { PrunelabError } from "../errors.ts";

const key = "tokenizer.ggml.tokens";
/** Value types of the GGUF specification. */
const arrayType = 9;
const stringType = 8;

/**
 * The strings of `tokenizer.ggml.tokens`, in the order of their ids. `@huggingface/gguf` 0.4.6 decodes with a TextDecoder
 * that drops a leading U+FEFF, which turns `"\ufeff#"` into a second `"#"`; these strings keep it.
 *
 * @param head The file's bytes from its start up to the tensor descriptions or further; little-endian, version 2 or 3.
 * @throws PrunelabError when there is no such array, or it is cut off.
 */
export function readGgufTokens(head: Uint8Array): string[] {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  // Key, type and element type in one pattern, so that no other metadata can look like it by chance.
  const start = bytes.indexOf(
    Buffer.concat([uint64(key.length), Buffer.from(key), uint32(arrayType), uint32(stringType)]),
  );
  if (start < 0) {
    throw new PrunelabError(`gguf has no ${key} as an array of strings; convert the model again with its tokenizer`);
  }
  let offset = start + 8 + key.length + 4 + 4;
  const take = (length: number): number => {
    if (length > bytes.length - offset) {
      throw new PrunelabError(
        `gguf is cut off in ${key}: needs ${length} bytes at ${offset}, has ${bytes.length - offset}; download it again`,
      );
    }
    offset += length;
    return offset - length;
  };
  const size = (): number => Number(bytes.readBigUInt64LE(take(8)));

  const tokens: string[] = [];
  for (let left = size(); left > 0; left--) {
    const length = size();
    const from = take(length);
    tokens.push(bytes.toString("utf8", from, from + length));
  }
  return tokens;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

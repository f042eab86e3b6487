/**
 * Tensors with their zeros left out, in the names that compressed-tensors' `sparse-bitmask` had (up to its version 0.14): for `X.weight` of
 * `[rows, columns]`, `X.compressed` holds the other values row by row, `X.bitmask` a bit for each weight (uint8 `[rows, ⌈columns / 8⌉]`, the lowest bit
 * first, 1 where there is a value), `X.shape` the shape, and `X.row_offsets` the place of each row's first value.
 */
import { PrunelabError } from "../errors.ts";
import { isReadableDtype, readSafetensorsTensor, type SafetensorsEntry } from "./safetensors.ts";
import { elementCount } from "./tensor.ts";

/** The four tensors of one weight; `row_offsets` is for those who read single rows. */
export const sparseParts = ["compressed", "bitmask", "shape", "row_offsets"] as const;

/** A weight with its zeros left out. */
export interface PackedTensor {
  readonly compressed: Uint16Array;
  readonly bitmask: Uint8Array;
  readonly rowOffsets: BigInt64Array;
}

/** Of bfloat16 bits; -0 counts as 0. */
export function packZeros(data: Uint16Array, columns: number): PackedTensor {
  const rows = data.length / columns;
  const stride = Math.ceil(columns / 8);
  const bitmask = new Uint8Array(rows * stride);
  const rowOffsets = new BigInt64Array(rows);
  const compressed = new Uint16Array(data.length);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    rowOffsets[row] = BigInt(count);
    for (let column = 0; column < columns; column++) {
      const bits = data[row * columns + column]!;
      if ((bits & 0x7fff) === 0) continue;
      bitmask[row * stride + (column >> 3)]! |= 1 << (column & 7);
      compressed[count++] = bits;
    }
  }
  return { compressed: compressed.slice(0, count), bitmask, rowOffsets };
}

/** A weight of a file, to be read as if it were whole. */
export interface SparseEntry {
  /** `X.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly read: () => Promise<Uint16Array>;
}

/**
 * Takes the packed weights out of a file's tensors.
 *
 * @throws PrunelabError where one of a weight's tensors is missing or does not fit the others; also on reading.
 */
export async function takeSparse(entries: Map<string, SafetensorsEntry>): Promise<SparseEntry[]> {
  const found: SparseEntry[] = [];
  for (const [key, bitmask] of [...entries]) {
    if (!key.endsWith(".bitmask")) continue;
    const own = key.slice(0, -".bitmask".length);
    const wrong = (what: string) =>
      new PrunelabError(`sparse tensor ${own} ${what}: ${bitmask.source.name}; download it again or export it anew`);
    const [compressed, shapeEntry] = [entries.get(`${own}.compressed`), entries.get(`${own}.shape`)];
    if (!compressed || !shapeEntry) throw wrong(`lacks ${own}.${compressed ? "shape" : "compressed"}`);
    if (shapeEntry.dtype !== "I64" || elementCount(shapeEntry.shape) !== 2) throw wrong("has no shape of two int64");
    const bytes = await shapeEntry.source.slice(shapeEntry.start, shapeEntry.end);
    const shape = [...new BigInt64Array(bytes.buffer)].map(Number);
    const [rows, columns] = shape as [number, number];
    const stride = Math.ceil(columns / 8);
    if (!(rows > 0 && columns > 0) || bitmask.dtype !== "U8" || bitmask.end - bitmask.start !== rows * stride) {
      throw wrong(`has a bitmask of ${bitmask.dtype}[${bitmask.shape}] for ${rows} × ${columns} weights`);
    }
    if (!isReadableDtype(compressed.dtype)) {
      throw wrong(`has values in ${compressed.dtype}, where Prunelab reads F32, F16 and BF16`);
    }
    const read = async () => {
      const mask = await bitmask.source.slice(bitmask.start, bitmask.end);
      const values = await readSafetensorsTensor(compressed);
      const data = new Uint16Array(rows * columns);
      let count = 0;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          if (((mask[row * stride + (column >> 3)]! >> (column & 7)) & 1) === 0) continue;
          data[row * columns + column] = values[count++] ?? 0;
        }
      }
      if (count !== values.length) throw wrong(`has ${values.length} values for ${count} bits of its mask`);
      return data;
    };
    found.push({ name: `${own}.weight`, shape, dtype: compressed.dtype, read });
    for (const part of sparseParts) entries.delete(`${own}.${part}`);
  }
  return found;
}

/** Whether a `quantization_config` says nothing but that zeros are left out; it is data, whatever class it names. */
export function isSparseOnly(quantization: Readonly<Record<string, unknown>>): boolean {
  const { quant_method, format, config_groups, sparsity_config } = quantization;
  const { format: sparseFormat } = (sparsity_config ?? {}) as Record<string, unknown>;
  return (
    quant_method === "compressed-tensors" &&
    (format === undefined || format === "dense") &&
    Object.keys((config_groups ?? {}) as object).length === 0 &&
    (sparseFormat === "sparse-bitmask" || sparseFormat === "sparse-24-bitmask")
  );
}

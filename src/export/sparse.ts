/** The form that leaves zeros out: a bit for each weight and the values that stay. Smaller on disk, no faster anywhere; SPARSE.md has a reader in Python. */

import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bytesOfTensor, type SafetensorsPlan, writeSafetensorsBytes } from "../checkpoint/safetensors.ts";
import { type PackedTensor, packZeros } from "../checkpoint/sparse-bitmask.ts";
import { weightCount } from "../checkpoint/tensor.ts";
import type { OnProgress } from "../progress.ts";
import { countZeros } from "../prune/sparsity.ts";
import type { Form } from "./form.ts";
import { checkFolder, withoutMinusZero } from "./hugging-face.ts";
import { writeModelFiles } from "./model-files.ts";

const file = "model.safetensors";
/** Masks, places of rows, tokenizer, roughly. */
const otherBytes = 6e7;

export const sparse: Form = {
  name: "sparse",
  summary: "Hugging Face folder without the zeros, for storage; Prunelab opens it, others need SPARSE.md's ten lines",
  plan: async (checkpoint) => {
    await checkpoint.tokenizer();
    return {
      weights: [file],
      replaces: [`${file}.index.json`],
      bytes: 2 * weightCount(checkpoint.tensors.values()) + otherBytes,
    };
  },
  write,
  check: async (checkpoint, folder) => {
    await checkFolder(checkpoint, folder, (bits) => withoutMinusZero(bits.slice()));
    return `${((2 * weightCount(checkpoint.tensors.values())) / 1e6).toFixed(1)} MB with their zeros; not faster, and only Prunelab and SPARSE.md's reader open it`;
  },
};

/** The tensors of the file, and where each comes from. */
interface Layout {
  readonly tensors: SafetensorsPlan[];
  readonly reads: Map<string, () => Promise<Pick<Uint8Array, "buffer" | "byteOffset" | "byteLength">>>;
  zeros: number;
  weights: number;
  readonly whole: string[];
}

async function write(checkpoint: Checkpoint, folder: string, onProgress?: OnProgress): Promise<void> {
  const layout = await layOut(checkpoint);
  const share = layout.weights === 0 ? 0 : layout.zeros / layout.weights;
  await writeSafetensorsBytes(join(folder, file), layout.tensors, async (name) => layout.reads.get(name)!(), {
    onWritten: (done, total) => onProgress?.({ step: `write ${file}`, done, total, unit: "bytes" }),
    beforeVisible: () =>
      writeModelFiles(checkpoint, folder, { quantization_config: quantizationConfig(share, layout.whole) }),
  });
}

/** A matrix is packed if that makes it smaller. Its size must be known before anything is written, so zeros are counted first. */
async function layOut(checkpoint: Checkpoint): Promise<Layout> {
  const layout: Layout = { tensors: [], reads: new Map(), zeros: 0, weights: 0, whole: [] };
  for (const { name, shape } of checkpoint.tensors.values()) {
    const whole = { name, shape, dtype: "BF16" };
    const zeros = shape.length === 2 && name.endsWith(".weight") ? countZeros((await checkpoint.read(name)).data) : 0;
    const own = name.slice(0, -".weight".length);
    const [rows = 1, columns = 1] = shape;
    const parts: SafetensorsPlan[] = [
      { name: `${own}.shape`, shape: [2], dtype: "I64" },
      { name: `${own}.compressed`, shape: [rows * columns - zeros], dtype: "BF16" },
      { name: `${own}.bitmask`, shape: [rows, Math.ceil(columns / 8)], dtype: "U8" },
      { name: `${own}.row_offsets`, shape: [rows], dtype: "I64" },
    ];
    const packed = parts.reduce((sum, part) => sum + bytesOfTensor(part), 0);
    if (zeros === 0 || packed >= bytesOfTensor(whole)) {
      layout.tensors.push(whole);
      layout.reads.set(name, async () => withoutMinusZero((await checkpoint.read(name)).data.slice()));
      if (shape.length === 2) layout.whole.push(own);
      continue;
    }
    layout.zeros += zeros;
    layout.weights += rows * columns;
    layout.tensors.push(...parts);
    // Made for the first of the four that is asked for, and dropped with the last.
    let made: Promise<PackedTensor> | undefined;
    const pack = () => (made ??= checkpoint.read(name).then(({ data }) => packZeros(data, columns)));
    layout.reads.set(`${own}.shape`, async () => BigInt64Array.of(BigInt(rows), BigInt(columns)));
    layout.reads.set(`${own}.compressed`, async () => (await pack()).compressed);
    layout.reads.set(`${own}.bitmask`, async () => (await pack()).bitmask);
    layout.reads.set(`${own}.row_offsets`, async () => {
      const { rowOffsets } = await pack();
      made = undefined;
      return rowOffsets;
    });
  }
  return layout;
}

/** As compressed-tensors 0.14 wrote and read it. */
function quantizationConfig(sparsity: number, ignore: readonly string[]): Record<string, unknown> {
  return {
    quant_method: "compressed-tensors",
    version: "0.14.0",
    format: "dense",
    config_groups: {},
    ignore: [],
    sparsity_config: {
      format: "sparse-bitmask",
      targets: ["Linear"],
      ignore,
      global_sparsity: Number(sparsity.toFixed(6)),
      sparsity_structure: "unstructured",
      registry_requires_subclass: false,
    },
    transform_config: {},
  };
}

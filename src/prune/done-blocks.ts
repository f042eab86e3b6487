/** The blocks that calibrated pruning has done, one safetensors file each, which is there whole or not at all. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileSource } from "../checkpoint/byte-source.ts";
import { readSafetensorsHeader, readSafetensorsTensor, writeSafetensors } from "../checkpoint/safetensors.ts";
import type { Tensor, TensorInfo } from "../checkpoint/tensor.ts";

/** A block and those of its tensors that are to be pruned; none for a block that only passes on. */
export interface BlockInScope {
  readonly layer: number;
  readonly infos: readonly TensorInfo[];
}

/** The tensors of the first blocks, as far as they are done; one whose file is damaged is not. */
export async function readDoneBlocks(folder: string, blocks: readonly BlockInScope[]): Promise<Tensor[][]> {
  const done: Tensor[][] = [];
  for (const { layer, infos } of blocks) {
    const path = blockPath(folder, layer);
    if (infos.length > 0 && !existsSync(path)) break;
    const tensors = await readBlock(path, infos).catch(() => undefined);
    if (!tensors) break;
    done.push(tensors);
  }
  return done;
}

async function readBlock(path: string, infos: readonly TensorInfo[]): Promise<Tensor[]> {
  if (infos.length === 0) return [];
  const entries = await readSafetensorsHeader(await fileSource(path));
  const tensors: Tensor[] = [];
  for (const { name, shape } of infos) {
    tensors.push({ name, shape, data: await readSafetensorsTensor(entries.get(name)!) });
  }
  return tensors;
}

export async function writeDoneBlock(folder: string, layer: number, tensors: readonly Tensor[]): Promise<void> {
  if (tensors.length === 0) return;
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  await writeSafetensors(blockPath(folder, layer), tensors, async (name) => byName.get(name)!);
}

function blockPath(folder: string, layer: number): string {
  return join(folder, `block-${layer}.safetensors`);
}

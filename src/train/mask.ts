/** Masks as files: which weights of a pruned model are kept, for training elsewhere. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { maskOf as keptWeights } from "../prune/mask.ts";
import { type FileTensor, readTensorFile, writeTensorFile } from "./tensor-file.ts";

/** 1 where a weight is kept, by tensor name. */
export type Mask = ReadonlyMap<string, FileTensor>;

/** The mask of the linear layers' weights that are not zero. */
export async function maskOf(checkpoint: Checkpoint): Promise<Mask> {
  const kept = await keptWeights(checkpoint);
  return new Map([...kept].map(([name, data]) => [name, { shape: checkpoint.tensors.get(name)!.shape, data }]));
}

/**
 * Writes a safetensors file of bools by tensor name: in torch, `safetensors.torch.load_file(path)`, and after each optimizer step
 * `for name, keep in mask.items(): model.get_parameter(name).data.mul_(keep)`.
 */
export async function writeMask(checkpoint: Checkpoint, path: string): Promise<void> {
  await writeTensorFile(path, await maskOf(checkpoint));
}

/** @throws PrunelabError when the file is missing, damaged, or holds no mask. */
export async function readMask(path: string): Promise<Mask> {
  const { tensors } = await readTensorFile(path);
  const other = [...tensors].find(([, { data }]) => !(data instanceof Uint8Array));
  if (other || tensors.size === 0)
    throw new PrunelabError(`not a mask: ${path}: ${other?.[0] ?? "no tensors"}; give bools`);
  return tensors;
}

/**
 * Checks that each group of `of` consecutive weights of a row has at least `zeros` zeros.
 *
 * @param pattern Such as `"2:4"`.
 * @throws PrunelabError that names the first tensor whose mask does not have the pattern.
 */
export function checkPattern(mask: Mask, pattern: string): void {
  const [, zeros, of] = (/^(\d+):(\d+)$/.exec(pattern) ?? []).map(Number) as [number, number?, number?];
  if (zeros === undefined || of === undefined || zeros >= of) {
    throw new PrunelabError(`invalid pattern: ${pattern}; choose one such as 2:4`);
  }
  for (const [name, { data }] of mask) {
    for (let at = 0; at + of <= data.length; at += of) {
      let kept = 0;
      for (let i = at; i < at + of; i++) kept += data[i]!;
      if (kept > of - zeros) {
        throw new PrunelabError(
          `the mask has no ${pattern} pattern: ${name}: ${kept} of ${of} weights kept at ${at}; prune by it first`,
        );
      }
    }
  }
}

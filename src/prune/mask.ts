/** Masks of pruned checkpoints: which weights are kept, and which of them two prunings of one model disagree on. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { parseScope } from "./options.ts";
import { tensorsInScope } from "./sparsity.ts";

/**
 * The mask of each tensor in scope (default: the linear layers inside the blocks), by name: 1 for a weight that is kept, 0 for one that is
 * zero (-0 too), in the tensor's order `[out, in]`. A byte a weight, 100 MB for Gemma 3 270M.
 *
 * @throws PrunelabError if the scope matches nothing.
 */
export async function maskOf(
  checkpoint: Checkpoint,
  { scope }: { readonly scope?: RegExp | string } = {},
): Promise<Map<string, Uint8Array>> {
  const masks = new Map<string, Uint8Array>();
  for (const { name } of tensorsInScope(checkpoint, parseScope(scope))) {
    const { data } = await checkpoint.read(name);
    masks.set(
      name,
      Uint8Array.from(data, (bits) => Number((bits & 0x7fff) !== 0)),
    );
  }
  return masks;
}

/** Weights of one tensor by which of two checkpoints have them at zero. */
export interface MaskDifference {
  readonly name: string;
  /** The block's number; null outside the blocks. */
  readonly layer: number | null;
  /** The tensor's name within its block, without `.weight`, e.g. `mlp.down_proj`. */
  readonly part: string;
  readonly count: number;
  readonly onlyA: number;
  readonly onlyB: number;
  readonly both: number;
  /** (onlyA + onlyB) / count. */
  readonly disagreement: number;
}

/**
 * Compares the zeros of two checkpoints tensor by tensor, e.g. of one model under two methods.
 *
 * @throws PrunelabError if the scope (default: the linear layers inside the blocks) matches nothing, or the shapes differ.
 */
export async function maskDifference(
  a: Checkpoint,
  b: Checkpoint,
  { scope }: { readonly scope?: RegExp | string } = {},
): Promise<MaskDifference[]> {
  const rows: MaskDifference[] = [];
  for (const { name } of tensorsInScope(a, parseScope(scope))) {
    const [first, second] = [(await a.read(name)).data, (await b.read(name)).data];
    if (first.length !== second.length) {
      throw new PrunelabError(
        `checkpoints of different shapes: ${name}: ${first.length} and ${second.length} weights; compare prunings of one model`,
      );
    }
    let [onlyA, onlyB, both] = [0, 0, 0];
    for (let index = 0; index < first.length; index++) {
      const isZeroA = (first[index]! & 0x7fff) === 0;
      const isZeroB = (second[index]! & 0x7fff) === 0;
      if (isZeroA && isZeroB) both += 1;
      else if (isZeroA) onlyA += 1;
      else if (isZeroB) onlyB += 1;
    }
    const place = placeInBlock(name);
    rows.push({
      name,
      layer: place?.layer ?? null,
      part: place?.name.replace(/\.weight$/, "") ?? name,
      ...{ count: first.length, onlyA, onlyB, both },
      disagreement: (onlyA + onlyB) / first.length,
    });
  }
  return rows;
}

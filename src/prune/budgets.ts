/** How sparse each tensor is to become, so that all of them together are as sparse as asked for. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { elementCount, type TensorInfo } from "../checkpoint/tensor.ts";
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import type { Calibration } from "./calibration.ts";
import { owlBudgets } from "./methods/owl.ts";
import type { CalibratedPlan } from "./options.ts";

/** The sparsity of each tensor, by name; `calibration` is looked at for OWL alone. */
export async function tensorSparsities(
  dense: Checkpoint,
  infos: readonly TensorInfo[],
  { budgets, sparsity }: CalibratedPlan,
  calibration: Calibration,
  onProgress?: OnProgress,
): Promise<ReadonlyMap<string, number>> {
  if (typeof budgets === "object") return namedBudgets(infos, budgets, sparsity);
  if (budgets === "uniform") return new Map(infos.map(({ name }) => [name, sparsity]));
  const layerOf = (name: string) => placeInBlock(name)!.layer;
  const counts = new Map<number, number>();
  for (const { name, shape } of infos) {
    counts.set(layerOf(name), (counts.get(layerOf(name)) ?? 0) + elementCount(shape));
  }
  const blocks = await owlBudgets(dense, calibration, counts, sparsity, onProgress);
  return new Map(infos.map(({ name }) => [name, blocks.get(layerOf(name))!]));
}

/**
 * Tensors whose name a key matches get that key's sparsity (the first key counts); all others share one, such that the whole is `sparsity`.
 *
 * @throws PrunelabError where a key matches no tensor, or the others cannot make up for it.
 */
export function namedBudgets(
  infos: readonly TensorInfo[],
  budgets: Readonly<Record<string, number>>,
  sparsity: number,
): ReadonlyMap<string, number> {
  const keys = Object.entries(budgets).map(([key, value]) => ({ key, value, pattern: new RegExp(key) }));
  const named = new Map<string, number>();
  let [count, wanted, unnamed] = [0, 0, 0];
  for (const { name, shape } of infos) {
    const size = elementCount(shape);
    const key = keys.find(({ pattern }) => pattern.test(name));
    if (key) named.set(name, key.value);
    else unnamed += size;
    count += size;
    wanted += size * (sparsity - (key?.value ?? 0));
  }
  const idle = keys.find(({ pattern }) => !infos.some(({ name }) => pattern.test(name)));
  if (idle) throw new PrunelabError(`budget matches no tensor in scope: ${idle.key}; choose e.g. k_proj`);
  if (unnamed === 0) throw new PrunelabError("budgets name every tensor; leave some to make up for the others");
  // Sums of fractions may end a hair beside zero.
  const rest = Math.abs(wanted) < 1e-9 * count ? 0 : wanted / unnamed;
  if (!(rest >= 0 && rest < 1)) {
    throw new PrunelabError(
      `budgets do not leave the whole at ${sparsity}: the tensors that no key names would need ${rest.toFixed(3)}; choose budgets nearer to it`,
    );
  }
  return new Map(infos.map(({ name }) => [name, named.get(name) ?? rest]));
}

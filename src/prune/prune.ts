/** Prunes a checkpoint: reads the tensors in scope, zeroes the least important weights of copies, returns a new checkpoint. */
import { createHash } from "node:crypto";
import { withTable } from "../base/value-table.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Tensor } from "../checkpoint/tensor.ts";
import { PrunelabError } from "../errors.ts";
import { listener } from "../progress.ts";
import { openDevice } from "./device.ts";
import { type Gpu, pruneOnGpu } from "./gpu.ts";
import { type CalibratedPlan, linearLayers, type PruneOptions, type PruningPlan, planPruning } from "./options.ts";
import { pruneBlocks } from "./prune-blocks.ts";
import { allocateWeights } from "./shared-weights.ts";
import {
  countZeros,
  type SparsityReport,
  sparsityFacts,
  summarizeSparsity,
  tensorsInScope,
  zeroCounts,
} from "./sparsity.ts";

/** A checkpoint as any other, with the account of what pruning did. */
export interface PrunedCheckpoint extends Checkpoint {
  readonly report: SparsityReport;
}

/**
 * A checkpoint whose least important weights are zero (magnitude pruning: Han et al. 2015, arXiv 1506.02626). The given
 * one is not touched; the pruned tensors are held in memory, the others still read from it. What is kept, is kept bit
 * by bit; what goes, becomes +0.
 *
 * The count is exact: round(n × sparsity) weights of each tensor, row or whole scope are zero. Weights that are zero
 * already (-0 too) count and go first; of equal magnitudes those at lower indices go first, globally those of earlier
 * tensors. Only where more than that many were zero before, all of them stay zero; `"sparsegpt"` and `"admm"`, which change
 * weights, may give some of those a value.
 *
 * Methods that look at inputs go through the blocks in order, each measured with its predecessors already pruned. What a stopped run has
 * done is kept in the cache, and the next such call goes on from there.
 *
 * Throws a PrunelabError for a bad option, a scope that matches nothing, or rows that the m of an `n:m` pattern does not
 * divide.
 */
export async function prune(dense: Checkpoint, given: PruneOptions): Promise<PrunedCheckpoint> {
  const onProgress = listener(given.onProgress);
  const options = onProgress ? { ...given, onProgress } : given;
  const plan = planPruning(options);
  const infos = tensorsInScope(dense, plan.scope);
  for (const { name, shape } of infos) checkRows(name, shape.at(-1) ?? 1, plan);
  if ("calibration" in plan) {
    const { tensors, zerosBefore } = await pruneBlocks(dense, infos, plan, options);
    const counts = [];
    for (const { name, data } of tensors) {
      const before = zerosBefore.get(name) ?? countZeros((await dense.read(name)).data);
      const zeros = countZeros(data);
      counts.push({ name, ...zeroCounts(data.length, zeros, zeros - before) });
    }
    const name = prunedName(dense.name, plan);
    return overlay(dense, tensors, name, summarizeSparsity({ name, tensors: dense.tensors }, counts));
  }
  const weights = await allocateWeights(infos);
  for (const [index, { name, data }] of weights.tensors.entries()) {
    options.onProgress?.({ step: "prune", done: index, total: infos.length, unit: "tensors" });
    data.set((await dense.read(name)).data);
  }
  const before = await weights.countZeros();
  // These scores need weights alone, and to bring those to a GPU and back takes longer than all that the CPU has to do.
  const device = await openDevice(plan.device === "auto" ? "cpu" : plan.device, options);
  const onGpu = (gpu: Gpu) => pruneOnGpu(gpu, weights.tensors, plan);
  await device.run(onGpu, () => weights.prune(plan)).finally(device.close);
  const after = await weights.countZeros();
  options.onProgress?.({ step: "prune", done: infos.length, total: infos.length, unit: "tensors" });

  const counts = weights.tensors.map(({ name, data }, index) => {
    const zeros = after[index]!;
    return { name, ...zeroCounts(data.length, zeros, zeros - before[index]!) };
  });
  const name = prunedName(dense.name, plan);
  return overlay(dense, weights.tensors, name, summarizeSparsity({ name, tensors: dense.tensors }, counts));
}

function checkRows(name: string, columns: number, { pattern }: PruningPlan | CalibratedPlan): void {
  if (typeof pattern === "string" || columns % pattern.of === 0) return;
  throw new PrunelabError(
    `rows are not divisible by ${pattern.of}: ${name}: ${columns} columns; choose another pattern or leave it out of scope`,
  );
}

/** E.g. `google/gemma-3-270m-magnitude-50`, `…-magnitude-2of4`, `…-random-row-62.5-seed1-mlp.down_proj`. */
function prunedName(name: string, plan: PruningPlan | CalibratedPlan): string {
  const { method, sparsity, pattern, scope } = plan;
  const percent = String(Number((100 * sparsity).toPrecision(12)));
  const where = typeof pattern === "object" ? [`${pattern.zeros}of${pattern.of}`] : [pattern, percent];
  const parts = [name, method, ...where.filter((part) => part !== "tensor")];
  if ("seed" in plan && method === "random") parts.push(`seed${plan.seed}`);
  if ("calibration" in plan) {
    const { budgets } = plan;
    if (typeof budgets === "object") {
      // Written out they may be longer than a file's name can be.
      const digest = createHash("sha256").update(JSON.stringify(budgets)).digest("hex");
      parts.push(`budgets-${digest.slice(0, 8)}`);
    } else if (budgets !== "uniform") parts.push(budgets);
    if (plan.refine) parts.push(plan.refine);
    if (plan.reconstruct) parts.push("reconstructed");
    if (plan.compensate) parts.push("compensated");
  }
  if (scope !== linearLayers) parts.push(scope.source.replace(/[^\w.]+/g, "-").replace(/^[-.]+|[-.]+$/g, ""));
  return parts.join("-");
}

/** The checkpoint with some of its tensors replaced. */
function overlay(
  dense: Checkpoint,
  tensors: readonly Tensor[],
  name: string,
  report: SparsityReport,
): PrunedCheckpoint {
  const replaced = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  let digest: Promise<string> | undefined;
  const pruned: PrunedCheckpoint = {
    name,
    report,
    config: dense.config,
    tensors: dense.tensors,
    read: async (wanted) => replaced.get(wanted) ?? dense.read(wanted),
    digest: () => (digest ??= digestOf(dense, tensors)),
    tokenizer: () => dense.tokenizer(),
    generationConfig: () => dense.generationConfig(),
  };
  return withTable(pruned, () => ({
    ...{ name, family: dense.config.model_type, ...sparsityFacts(report) },
    source: `pruned from ${dense.name}`,
  }));
}

async function digestOf(dense: Checkpoint, tensors: readonly Tensor[]): Promise<string> {
  const hash = createHash("sha256").update(await dense.digest());
  for (const { name, data } of tensors) hash.update(`\0${name}\0`).update(data);
  return hash.digest("hex");
}

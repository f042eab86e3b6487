/** Prunes a checkpoint: reads the tensors in scope, zeroes the least important weights of copies, returns a new checkpoint. */

import { createHash } from "node:crypto";
import { throwIfInterrupted } from "../base/interrupted.ts";
import { withTable } from "../base/value-table.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32, float32ToBf16 } from "../checkpoint/half.ts";
import type { Tensor, TensorInfo } from "../checkpoint/tensor.ts";
import { PrunelabError } from "../errors.ts";
import { listener } from "../progress.ts";
import { type PrunedTensors, pruneBlocks } from "./blocks.ts";
import { type CalibratedPlan, linearLayers, type PruneOptions, type PruningPlan, planPruning } from "./options.ts";
import { pruneLinear, rememberInputs } from "./prune-linear.ts";
import { allocateWeights, type SpanPattern } from "./select.ts";
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
 * tensors. If more than that many were zero before, all of them stay zero; `"sparsegpt"` and `"admm"`, which change
 * weights, may give some of those a value.
 *
 * Methods that look at inputs go through the blocks in order, each measured with its predecessors already pruned. What a stopped run has
 * done is kept in the cache, and the next such call goes on from there.
 *
 * Throws a PrunelabError for a bad option, a scope that matches nothing, or rows that the m of an `n:m` pattern does not
 * divide; and `signal`'s reason once that is aborted.
 */
export async function prune(dense: Checkpoint, given: PruneOptions): Promise<PrunedCheckpoint> {
  const onProgress = listener(given.onProgress);
  const options = onProgress ? { ...given, onProgress } : given;
  return await pruneAsPlanned(dense, planPruning(options), options);
}

/** The part of {@link prune} after its options are checked. */
export async function pruneAsPlanned(
  dense: Checkpoint,
  plan: PruningPlan | CalibratedPlan,
  options: Pick<PruneOptions, "signal" | "onProgress" | "onNotice"> = {},
): Promise<PrunedCheckpoint> {
  options.signal?.throwIfAborted();
  const infos = tensorsInScope(dense, plan.scope);
  for (const { name, shape } of infos) checkRows(name, shape.at(-1) ?? 1, plan);
  const { tensors, zerosBefore, zeros } =
    "calibration" in plan
      ? await pruneBlocks(dense, infos, plan, options)
      : await pruneWeights(dense, infos, plan, options);
  const counts = [];
  for (const [index, { name, data }] of tensors.entries()) {
    const before = zerosBefore.get(name) ?? countZeros((await dense.read(name)).data);
    const now = zeros?.[index] ?? countZeros(data);
    counts.push({ name, ...zeroCounts(data.length, now, now - before) });
  }
  const name = prunedName(dense.name, plan);
  return overlay(dense, tensors, name, summarizeSparsity({ name, tensors: dense.tensors }, counts));
}

/** Prunes by weights alone: all tensors at once in WebAssembly if that knows the score, or else one after the other. */
async function pruneWeights(
  dense: Checkpoint,
  infos: readonly TensorInfo[],
  { method, pattern, sparsity, seed, device }: PruningPlan,
  { signal, onProgress, onNotice }: Pick<PruneOptions, "signal" | "onProgress" | "onNotice">,
): Promise<PrunedTensors> {
  if (device !== "cpu") onNotice?.(`pruning by ${method.name} on the CPU: it looks at weights alone`);
  const weights = await allocateWeights(infos);
  for (const [index, { name, data }] of weights.tensors.entries()) {
    throwIfInterrupted();
    signal?.throwIfAborted();
    onProgress?.({ step: "prune", done: index, total: infos.length, unit: "tensors" });
    data.set((await dense.read(name)).data);
  }
  const before = await weights.countZeros();
  signal?.throwIfAborted();
  if (method.kernel) await weights.prune({ kernel: method.kernel, pattern, sparsity, seed });
  else {
    const inputs = rememberInputs({
      squares: new Float64Array(),
      sums: new Float64Array(),
      tokens: 0,
      gram: undefined,
    });
    const plan = { method, pattern: pattern as SpanPattern, refine: undefined, reconstruct: false };
    for (const { data, shape } of weights.tensors) {
      signal?.throwIfAborted();
      const columns = shape.at(-1) ?? data.length;
      const matrix = { rows: data.length / columns, columns, data: bf16ToFloat32(data) };
      data.set(float32ToBf16((await pruneLinear(matrix, inputs, plan, sparsity)).data));
    }
  }
  const zeros = await weights.countZeros();
  onProgress?.({ step: "prune", done: infos.length, total: infos.length, unit: "tensors" });
  return {
    tensors: weights.tensors,
    zeros,
    zerosBefore: new Map(infos.map(({ name }, index) => [name, before[index]!])),
  };
}

function checkRows(name: string, columns: number, plan: PruningPlan | CalibratedPlan): void {
  const groups = typeof plan.pattern === "object" ? plan.pattern.of : 1;
  const blocks = "calibration" in plan ? (plan.quantize?.blockSize ?? 1) : 1;
  for (const [of, choice] of [
    [groups, "another pattern"],
    [blocks, "another quantize.blockSize"],
  ] as const) {
    if (columns % of === 0) continue;
    throw new PrunelabError(
      `rows are not divisible by ${of}: ${name}: ${columns} columns; choose ${choice} or leave it out of scope`,
    );
  }
}

/** E.g. `google/gemma-3-270m-magnitude-50`, `…-magnitude-2of4`, `…-random-row-62.5-seed1-mlp.down_proj`. */
function prunedName(name: string, plan: PruningPlan | CalibratedPlan): string {
  const { method, sparsity, pattern, scope } = plan;
  const percent = String(Number((100 * sparsity).toPrecision(12)));
  const where = typeof pattern === "object" ? [`${pattern.zeros}of${pattern.of}`] : [pattern, percent];
  const parts = [name, method.name, ...where.filter((part) => part !== "tensor")];
  if ("seed" in plan && method.kernel === "random") parts.push(`seed${plan.seed}`);
  if ("calibration" in plan) {
    const { budgets } = plan;
    if (typeof budgets === "object") {
      // Written out they may be longer than a file's name can be.
      const digest = createHash("sha256").update(JSON.stringify(budgets)).digest("hex");
      parts.push(`budgets-${digest.slice(0, 8)}`);
    } else if (budgets !== "uniform") parts.push(budgets);
    if (plan.refine) parts.push(plan.refine.name);
    if (plan.reconstruct) parts.push("reconstructed");
    if (plan.quantize)
      parts.push(`q${plan.quantize.bits}${plan.quantize.blockSize === 32 ? "" : `x${plan.quantize.blockSize}`}`);
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
    ...(dense.gguf && { gguf: dense.gguf }),
    tensors: dense.tensors,
    read: async (wanted) => replaced.get(wanted) ?? dense.read(wanted),
    digest: () => (digest ??= digestOf(dense, tensors)),
    tokenizer: () => dense.tokenizer(),
    ...(dense.tokenizerFacts && { tokenizerFacts: dense.tokenizerFacts }),
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

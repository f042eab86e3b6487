/** What a checkpoint is and how it was pruned, from its weights alone: family, size, zeros by tensor, and the scope and pattern that they show. */
import { percentText } from "../base/value-table.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { elementCount, type TensorInfo, weightCount } from "../checkpoint/tensor.ts";
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { listener, type OnProgress } from "../progress.ts";
import { countZeros } from "./sparsity.ts";

export interface TensorInspection {
  readonly name: string;
  readonly shape: readonly number[];
  /** How the file stores it; null if it is in memory only. */
  readonly dtype: string | null;
  readonly zeros: number;
  readonly sparsity: number;
  /** Zeros of the rows with the fewest and the most, as shares; equal rows show that weights were chosen by row. */
  readonly rowSparsity: readonly [least: number, most: number];
  /** `"2:4"`, if no 4 neighbours of a row have fewer than 2 zeros; the most regular of the known patterns. */
  readonly pattern: string | null;
}

/** How an inspected checkpoint stands to another one, its base. */
export interface BaseFit {
  readonly name: string;
  /** Weights that are neither zero nor the base's. */
  readonly changed: number;
  /** Zeros that are not zero in the base. */
  readonly newZeros: number;
}

export interface Inspection {
  readonly name: string;
  /** `config.json`'s model_type. */
  readonly family: string;
  readonly weights: number;
  readonly isTied: boolean;
  /** How the files store the weights, and how many weights each way; empty if the checkpoint is not a file's. */
  readonly dtypes: Readonly<Record<string, number>>;
  readonly tensors: readonly TensorInspection[];
  /** Sorts of tensors that are pruned, e.g. `mlp.up_proj`, and the share of them that is zero. */
  readonly pruned: readonly { readonly name: string; readonly sparsity: number }[];
  /** How the weights seem to have been chosen. */
  readonly pattern: "dense" | "per tensor" | "per row" | "global" | "mixed" | `${number}:${number}`;
  readonly base: BaseFit | null;
  /** All of it in a few lines. */
  readonly summary: string;
}

/** A share of zeros above which a tensor counts as pruned; rounding to bfloat16 and quantisation leave less. */
const prunedShare = 0.02;
/** Tensors or rows whose shares differ by less were pruned to one share. */
const sameShare = 0.005;
const knownPatterns = [
  [1, 4],
  [2, 4],
  [3, 4],
  [2, 8],
  [4, 8],
  [5, 8],
  [6, 8],
] as const;

/**
 * Reads all tensors of a checkpoint, one at a time, and says what their zeros show.
 *
 * @param options.base - a checkpoint of the same shapes that it may have been pruned from.
 * @throws PrunelabError when a tensor cannot be read, or the base has other shapes.
 */
export async function inspectCheckpoint(
  checkpoint: Checkpoint,
  options: { readonly base?: Checkpoint; readonly onProgress?: OnProgress } = {},
): Promise<Inspection> {
  const { base } = options;
  const onProgress = listener(options.onProgress);
  const { config } = checkpoint;
  const infos = [...checkpoint.tensors.values()];
  if (base) checkShapes(checkpoint, base);
  const weights = weightCount(infos);
  const tensors: TensorInspection[] = [];
  let [changed, newZeros, done] = [0, 0, 0];
  for (const info of infos) {
    onProgress?.({ step: "inspect", done, total: weights, unit: "weights" });
    const { data } = await checkpoint.read(info.name);
    tensors.push(inspectTensor(info, data, checkpoint.dtypes?.get(info.name) ?? null));
    if (base) {
      const before = (await base.read(info.name)).data;
      for (let i = 0; i < data.length; i++) {
        if (data[i] === before[i]) continue;
        if ((data[i]! & 0x7fff) !== 0) changed++;
        else if ((before[i]! & 0x7fff) !== 0) newZeros++;
      }
    }
    done += data.length;
  }
  onProgress?.({ step: "inspect", done, total: weights, unit: "weights" });
  const pruned = tensors.filter(({ shape, sparsity }) => shape.length === 2 && sparsity >= prunedShare);
  const inspection = {
    name: checkpoint.name,
    family: config.model_type,
    weights,
    isTied: config.tie_word_embeddings,
    dtypes: weightsByDtype(tensors),
    tensors,
    pruned: sortsOf(pruned),
    pattern: patternOf(pruned),
    base: base ? { name: base.name, changed, newZeros } : null,
  };
  return { ...inspection, summary: summarize(inspection) };
}

function checkShapes(checkpoint: Checkpoint, base: Checkpoint): void {
  for (const { name, shape } of checkpoint.tensors.values()) {
    const other = base.tensors.get(name)?.shape;
    if (other?.join() === shape.join()) continue;
    throw new PrunelabError(
      `base is another model: ${base.name} has ${other ? other.join(" × ") : "no such tensor"} for ${name}, ${checkpoint.name} has ${shape.join(" × ")}`,
    );
  }
}

function inspectTensor({ name, shape }: TensorInfo, data: Uint16Array, dtype: string | null): TensorInspection {
  const zeros = countZeros(data);
  const columns = shape.at(-1) ?? 1;
  let [least, most] = [1, 0];
  for (let start = 0; start < data.length; start += columns) {
    const share = countZeros(data.subarray(start, start + columns)) / columns;
    least = Math.min(least, share);
    most = Math.max(most, share);
  }
  const isPruned = shape.length === 2 && zeros / data.length >= prunedShare;
  const pattern = isPruned ? knownPatterns.find(([n, m]) => follows(data, columns, n, m)) : undefined;
  return {
    name,
    shape,
    dtype,
    zeros,
    sparsity: zeros / data.length,
    rowSparsity: [least, most],
    pattern: pattern ? `${pattern[0]}:${pattern[1]}` : null,
  };
}

/** Whether each m neighbours of a row keep exactly n weights, but for a few that were zero before. */
function follows(data: Uint16Array, columns: number, n: number, m: number): boolean {
  if (columns % m !== 0) return false;
  let fewer = 0;
  for (let start = 0; start < data.length; start += m) {
    let kept = 0;
    for (let i = start; i < start + m; i++) if ((data[i]! & 0x7fff) !== 0) kept++;
    if (kept > n) return false;
    if (kept < n) fewer++;
  }
  return fewer < (prunedShare * data.length) / m;
}

function weightsByDtype(tensors: readonly TensorInspection[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { dtype, shape } of tensors) {
    if (dtype !== null) counts[dtype] = (counts[dtype] ?? 0) + elementCount(shape);
  }
  return Object.fromEntries(Object.entries(counts).sort(([, a], [, b]) => b - a));
}

/** `"stored in BF16"`, or `"stored in Q4_1 (79.0 %), Q8_0 (21.0 %) and F32 (0.0 %)"`. */
function stored(dtypes: Inspection["dtypes"]): string {
  const all = Object.values(dtypes).reduce((sum, count) => sum + count, 0);
  const names = Object.entries(dtypes).map(
    ([dtype, count]) => `${dtype}${count === all ? "" : ` (${percentText(count / all)})`}`,
  );
  if (names.length === 0) return "not stored in a file";
  const last = names.pop()!;
  return `stored in ${names.length > 0 ? `${names.join(", ")} and ` : ""}${last}${last === "BF16" ? "" : ", read as bfloat16"}`;
}

/** Tensors by their names within a block. */
function sortsOf(pruned: readonly TensorInspection[]): Inspection["pruned"] {
  const sums = new Map<string, { zeros: number; count: number }>();
  for (const { name, zeros, shape } of pruned) {
    const sort = (placeInBlock(name)?.name ?? name).replace(/\.weight$/, "");
    const sum = sums.get(sort) ?? { zeros: 0, count: 0 };
    sums.set(sort, { zeros: sum.zeros + zeros, count: sum.count + elementCount(shape) });
  }
  return [...sums].map(([name, { zeros, count }]) => ({ name, sparsity: zeros / count }));
}

function patternOf(pruned: readonly TensorInspection[]): Inspection["pattern"] {
  const [first] = pruned;
  if (!first) return "dense";
  if (first.pattern !== null && pruned.every(({ pattern }) => pattern === first.pattern)) {
    return first.pattern as `${number}:${number}`;
  }
  // A weight that was zero before adds to a row's share.
  const isByRow = ({ rowSparsity: [least, most], shape }: TensorInspection) =>
    most - least <= sameShare + 1 / (shape.at(-1) ?? 1);
  if (pruned.every(isByRow)) return "per row";
  if (pruned.some(isByRow) || pruned.some(({ pattern }) => pattern !== null)) return "mixed";
  const shares = pruned.map(({ sparsity }) => sparsity);
  return Math.max(...shares) - Math.min(...shares) <= sameShare ? "per tensor" : "global";
}

const number = (value: number) => value.toLocaleString("en-US");

function summarize({
  name,
  family,
  weights,
  isTied,
  dtypes,
  tensors,
  pruned,
  pattern,
  base,
}: Omit<Inspection, "summary">) {
  const zeros = tensors.reduce((sum, tensor) => sum + tensor.zeros, 0);
  const means: Record<string, string> = {
    "per tensor": "one share in each tensor, rows differ",
    "per row": "one share in each row",
    global: "shares differ by tensor, as from one threshold for all or from budgets",
    mixed: "tensors differ in how they were pruned",
  };
  const lines = [
    `${name}: ${family}, ${number(weights)} weights in ${tensors.length} tensors, ${stored(dtypes)}, head ${isTied ? "tied to the embedding" : "of its own"}`,
    pattern === "dense"
      ? `not pruned: ${number(zeros)} weights are zero (${percentText(zeros / weights)})`
      : `pruned: ${number(zeros)} weights are zero (${percentText(zeros / weights)} of all), pattern ${pattern}${means[pattern] ? ` (${means[pattern]})` : ""}`,
    ...pruned.map(({ name, sparsity }) => `  ${name}: ${percentText(sparsity)}`),
  ];
  if (base) {
    const { changed, newZeros } = base;
    lines.push(
      changed === 0
        ? `fits ${base.name}: every weight is the base's or zero; ${number(newZeros)} zeros are new`
        : `differs from ${base.name}: ${number(changed)} weights (${percentText(changed / weights)}) are neither the base's nor zero; ${number(newZeros)} zeros are new`,
    );
  }
  return lines.join("\n");
}

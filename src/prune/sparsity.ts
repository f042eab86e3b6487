/** Counts zeros: the sanity check after every pruning, as data and as a short text. */
import { type Facts, percentText, withTable } from "../base/value-table.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { elementCount, type TensorInfo, weightCount } from "../checkpoint/tensor.ts";
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { parseScope } from "./options.ts";

/** `newZeros` is what pruning added; it is 0 in the report of a checkpoint as it stands. */
export interface ZeroCounts {
  /** Weights. */
  readonly count: number;
  readonly zeros: number;
  readonly newZeros: number;
  /** zeros / count. */
  readonly sparsity: number;
}

export interface SparsityReport {
  /** The checkpoint's name. */
  readonly name: string;
  /** The tensors in scope, in the checkpoint's order. */
  readonly tensors: readonly (ZeroCounts & { readonly name: string })[];
  /** The tensors in scope summed per block, in order; tensors outside the blocks have `layer` null. */
  readonly layers: readonly (ZeroCounts & { readonly layer: number | null })[];
  /** All tensors in scope. */
  readonly scope: ZeroCounts;
  /** All weights of the checkpoint, in scope or not. */
  readonly modelCount: number;
  /** Shares of `modelCount`: the weights in scope, the zeros in scope, and those of them that pruning added. */
  readonly scopeShare: number;
  readonly zeroShare: number;
  readonly newZeroShare: number;
  /** What is zero, as a share of what, in one line. */
  readonly summary: string;
  /** The summary and a table with a row per block, in Markdown. */
  readonly markdown: string;
}

/**
 * Counts the zeros of a checkpoint's tensors in scope (default: the linear layers inside the blocks), reading one at a
 * time. Throws a PrunelabError where the scope matches nothing.
 */
export async function sparsityReport(
  checkpoint: Checkpoint,
  { scope }: { readonly scope?: RegExp | string } = {},
): Promise<SparsityReport> {
  const tensors = [];
  for (const { name, shape } of tensorsInScope(checkpoint, parseScope(scope))) {
    const { data } = await checkpoint.read(name);
    tensors.push({ name, ...zeroCounts(elementCount(shape), countZeros(data), 0) });
  }
  return summarizeSparsity(checkpoint, tensors);
}

/** Sums the counts of tensors to a report on the checkpoint that they are part of. */
export function summarizeSparsity(
  { name, tensors: all }: Pick<Checkpoint, "name" | "tensors">,
  tensors: SparsityReport["tensors"],
): SparsityReport {
  const byLayer = new Map<number | null, (typeof tensors)[number][]>();
  for (const tensor of tensors) {
    const layer = placeInBlock(tensor.name)?.layer ?? null;
    byLayer.set(layer, [...(byLayer.get(layer) ?? []), tensor]);
  }
  const layers = [...byLayer]
    .map(([layer, parts]) => ({ layer, ...sumCounts(parts) }))
    .sort((a, b) => (a.layer ?? Infinity) - (b.layer ?? Infinity));
  const scope = sumCounts(tensors);
  const modelCount = weightCount(all.values());
  const [scopeShare, zeroShare, newZeroShare] = [scope.count, scope.zeros, scope.newZeros].map(
    (part) => part / modelCount,
  ) as [number, number, number];
  const summary =
    `${number(scope.zeros)} of ${number(scope.count)} weights in scope are zero (${percentText(scope.sparsity)}); ` +
    `the scope is ${percentText(scopeShare)} of all ${number(modelCount)} weights, its zeros ${percentText(zeroShare)}, ` +
    `those that pruning added ${percentText(newZeroShare)}`;
  const rows = [...layers.map(({ layer, ...counts }) => row(layer ?? "other", counts)), row("all", scope)];
  const markdown = [`${summary}.`, "", "| layer | weights | zeros | sparsity |", "|---|---:|---:|---:|", ...rows];
  const report: SparsityReport = {
    name,
    tensors,
    layers,
    scope,
    modelCount,
    scopeShare,
    zeroShare,
    newZeroShare,
    summary,
    markdown: markdown.join("\n"),
  };
  return withTable(report, () => ({ name, ...sparsityFacts(report) }));
}

/** What a table says of a report. */
export function sparsityFacts({ modelCount, scope, scopeShare, zeroShare, tensors }: SparsityReport): Facts {
  return {
    weights: modelCount,
    sparsity: `${percentText(scope.sparsity)} of the scope, ${percentText(zeroShare)} of all weights`,
    scope: `${percentText(scopeShare)} of all weights, ${tensors.length} tensors`,
  };
}

function row(label: string | number, { count, zeros, sparsity }: ZeroCounts): string {
  return `| ${label} | ${number(count)} | ${number(zeros)} | ${percentText(sparsity)} |`;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}

/** The tensors whose names the scope matches. Throws a PrunelabError where there are none. */
export function tensorsInScope({ name, tensors }: Checkpoint, scope: RegExp): TensorInfo[] {
  // search, unlike test, keeps no state in a global or sticky expression
  const matched = [...tensors.values()].filter((tensor) => tensor.name.search(scope) >= 0);
  if (matched.length === 0) {
    const example = tensors.keys().next().value ?? "none at all";
    throw new PrunelabError(`scope matches no tensor of ${name}: ${scope}; its names are like ${example}`);
  }
  return matched;
}

/** Zeros among weights in bfloat16's bits or in float32, -0 included. */
export function countZeros(weights: Uint16Array | Float32Array): number {
  const isSingle = weights instanceof Float32Array;
  const bits = isSingle ? new Uint32Array(weights.buffer, weights.byteOffset, weights.length) : weights;
  const magnitude = isSingle ? 0x7fffffff : 0x7fff;
  let zeros = 0;
  for (let index = 0; index < bits.length; index++) if ((bits[index]! & magnitude) === 0) zeros++;
  return zeros;
}

export function zeroCounts(count: number, zeros: number, newZeros: number): ZeroCounts {
  return { count, zeros, newZeros, sparsity: count === 0 ? 0 : zeros / count };
}

function sumCounts(parts: readonly ZeroCounts[]): ZeroCounts {
  const sum = (key: "count" | "zeros" | "newZeros") => parts.reduce((total, part) => total + part[key], 0);
  return zeroCounts(sum("count"), sum("zeros"), sum("newZeros"));
}

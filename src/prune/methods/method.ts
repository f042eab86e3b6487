/** What a pruning method is: one literal of a name, what it needs to know, where it selects, and how it prunes a layer. */
import type { Matrix } from "../../onnx/matrix.ts";
import type { kernels, SpanPattern } from "../select.ts";
import type { InputStatistics, StatisticsKind } from "../statistics.ts";

/** The names in the tables of methods.ts. */
export type MethodName = "magnitude" | "random" | "wanda" | "ria" | "sparsegpt" | "admm";
export type RefinementName = "dsnot" | "swaps";

/** What every entry of those tables says of itself. */
interface Entry<Name extends string> {
  readonly name: Name;
  /** In one line, without a full stop, for `--help`, the documentation and error messages. */
  readonly summary: string;
  /** Authors, year and arXiv number. */
  readonly source: string;
}

/** A way to choose the weights that go, and perhaps to change those that stay. */
export interface PruningMethod extends Entry<MethodName> {
  /** What it must know of a layer's inputs: nothing (then it needs no calibration), their squares by column, or their Gram matrix. */
  readonly needs: "nothing" | StatisticsKind;
  /** Where it looks for the least important weights unless told otherwise. */
  readonly pattern: "tensor" | "row";
  /** The score, if the WebAssembly computes it, from weights alone: on all cores, and for all tensors together if asked. */
  readonly kernel?: keyof typeof kernels;
  /** Whether it fits the weights that stay to the layer's outputs; if the mask is refined, they are then fitted anew. */
  readonly fitsWeights?: boolean;
  /** Whether it can round the weights that stay to a grid while it makes up for what it does. */
  readonly quantizes?: boolean;
  /** Prunes `[out, in]` weights in place. Left out for one that serves as control alone: it cannot be refined or be given budgets. */
  readonly prune?: PruneLayer;
}

/** Changes a mask: the same number of zeros, at better places. */
export interface MaskRefinement extends Entry<RefinementName> {
  readonly needs: StatisticsKind;
  /** Whether zeros stay within the groups of an `n:m` pattern. */
  readonly keepsGroups: boolean;
  /** Refines the mask of `pruned` in place; `dense` are the weights before. */
  readonly refine: (dense: Matrix, pruned: Matrix, inputs: LinearInputs, pattern: SpanPattern) => void | Promise<void>;
}

/** Which weights of a layer go. */
export interface LayerSelection {
  readonly pattern: SpanPattern;
  /** Of the weights that are to be zero, in [0, 1); for an `n:m` pattern n / m. */
  readonly sparsity: number;
  /** Rounds what is kept; only for a method that says that it `quantizes`. */
  readonly quantize?: Quantization | undefined;
}

/** A grid for each `blockSize` consecutive weights of a row: whole multiples, up to 2^(bits - 1) - 1 of either sign, of a step of their own. */
export interface Quantization {
  readonly bits: 4 | 8;
  readonly blockSize: number;
}

export type PruneLayer = (weights: Matrix, inputs: LinearInputs, selection: LayerSelection) => void | Promise<void>;

/** The inputs of one or several linear layers that share them. */
export interface LinearInputs {
  readonly statistics: InputStatistics;
  /** What `make` makes of the statistics, made once and kept for the other layers with these inputs. */
  once<Made>(make: (statistics: InputStatistics) => Made): Made;
}

/** The Gram matrix of inputs in float32, for {@link LinearInputs.once}. */
export function singleGram({ gram }: InputStatistics): Matrix {
  return { ...gram!, data: Float32Array.from(gram!.data) };
}

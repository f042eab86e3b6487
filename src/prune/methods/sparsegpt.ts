/**
 * SparseGPT (Frantar and Alistarh 2023, arXiv 2301.00774): columns from left to right, in blocks of 128; what a zeroed weight did for the
 * layer's output, the weights to its right take over as well as they can (optimal brain surgeon).
 */
import { cut, type Matrix, multiply } from "../../onnx/matrix.ts";
import { inverseCholesky } from "../cholesky.ts";
import { type SpanPattern, zeroLowest } from "../select.ts";
import type { InputStatistics } from "../statistics.ts";
import type { LayerSelection, PruningMethod } from "./method.ts";

const blockColumns = 128;
// Within a strip errors move one by one, to the rest of its block by a matrix product, which is far faster.
const stripColumns = 32;
const damping = 0.01;

/**
 * The upper triangular U with Uᵀ U = (G + damping × mean diagonal)⁻¹, for a Gram matrix G of inputs. Where rounding leaves the sum not positive definite, the damping grows until it is.
 */
export async function inverseFactor(gram: Matrix<Float64Array>): Promise<Matrix> {
  const n = gram.rows;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += gram.data[i * n + i]! / n;
  mean ||= 1; // no input at all
  for (let share = damping; ; share *= 10) {
    // In reverse order of rows and columns, so that the inverse of the lower factor, turned back, is the upper one wanted.
    const data = Float64Array.from(gram.data).reverse();
    for (let i = 0; i < n; i++) data[i * n + i]! += share * mean;
    const inverse = await inverseCholesky({ rows: n, columns: n, data });
    if (inverse) return { rows: n, columns: n, data: Float32Array.from(inverse.data.reverse()) };
    if (!(share < 1e6)) throw new Error("internal: Gram matrix is not finite");
  }
}

/** Prunes `[out, in]` weights in place, with {@link inverseFactor}'s factor of their inputs. `"tensor"` is each block by itself. */
export async function pruneSparseGpt(
  weights: Matrix,
  factor: Matrix,
  { pattern, sparsity, quantize }: LayerSelection,
): Promise<void> {
  const { rows, columns, data } = weights;
  // Neither blocks nor strips must cut a group of m in two.
  const group = typeof pattern === "object" ? pattern.of : 1;
  const step = Math.max(1, Math.floor(blockColumns / group)) * group;
  const strip = Math.max(1, Math.floor(stripColumns / group)) * group;
  const diagonal = Float64Array.from({ length: columns }, (_, i) => factor.data[i * columns + i]!);
  /** The step of the block of weights that each row has reached. */
  const steps = new Float64Array(rows);
  let pruned = 0;
  for (let from = 0; from < columns; from += step) {
    const to = Math.min(from + step, columns);
    const width = to - from;
    // Counts that add up to the whole's, whatever each block's share rounds to.
    const perSpan = pattern === "row" ? 1 : rows;
    const target = Math.round(to * perSpan * sparsity) - pruned;
    pruned += target;
    /** Marks, 0 at the weights that go, by what the columns before them have left. */
    const marksOf = (first: number, last: number, pattern: SpanPattern, share: number) => {
      const own = cut(weights, 0, rows, first, last);
      const scores = own.data.map((weight, index) => (weight / diagonal[first + (index % own.columns)]!) ** 2);
      const marks = { ...own, data: own.data.fill(1) };
      zeroLowest(marks.data, scores, own.columns, pattern, share);
      return marks;
    };
    const blockMarks = typeof pattern === "string" ? marksOf(from, to, pattern, target / (width * perSpan)) : undefined;
    const errors = { rows, columns: width, data: new Float32Array(rows * width) };
    for (let start = from; start < to; start += strip) {
      const end = Math.min(start + strip, to);
      // Groups are marked as they are reached.
      const part = blockMarks ? end - start : group;
      for (let first = start; first < end; first += part) {
        const marks = blockMarks ?? marksOf(first, first + part, pattern, sparsity);
        const columnOfMarks = blockMarks ? first - from : 0;
        for (let row = 0; row < rows; row++) {
          const own = data.subarray(row * columns + first, row * columns + end);
          const at = row * marks.columns + columnOfMarks;
          const ofRow = errors.data.subarray(row * width + first - from, row * width + end - from);
          const rounded = (i: number, weight: number) => {
            if (!quantize) return weight;
            const blockStart = first + i;
            if (blockStart % quantize.blockSize === 0) {
              const rest = data.subarray(row * columns + blockStart, row * columns + blockStart + quantize.blockSize);
              steps[row] = stepOf(rest, quantize.bits);
            }
            return roundTo(weight, steps[row]!, quantize.bits);
          };
          zeroMarked(own, marks.data.subarray(at, at + part), ofRow, { diagonal, factor, first, rounded });
        }
      }
      if (end === to) break;
      await takeOver(weights, cut(errors, 0, rows, start - from, end - from), cut(factor, start, end, end, to), end);
    }
    if (to < columns) await takeOver(weights, errors, cut(factor, from, to, to, columns), to);
  }
}

/**
 * Zeroes what is marked in a part of one row and rounds what is not, keeps the errors, and lets the row's weights to the right within the strip,
 * as far as `weights` goes, take them over. `first` is the part's first column.
 */
function zeroMarked(
  weights: Float32Array,
  marks: Float32Array,
  errors: Float32Array,
  {
    diagonal,
    factor,
    first,
    rounded,
  }: {
    readonly diagonal: Float64Array;
    readonly factor: Matrix;
    readonly first: number;
    readonly rounded: (index: number, weight: number) => number;
  },
): void {
  for (let i = 0; i < marks.length; i++) {
    const weight = weights[i]!;
    // Also for a weight that goes: its block may begin here.
    const kept = rounded(i, weight);
    const now = marks[i] === 0 ? 0 : kept;
    if (now === weight && marks[i] !== 0) continue;
    const error = (weight - now) / diagonal[first + i]!;
    errors[i] = error;
    weights[i] = now;
    const factors = (first + i) * factor.columns + first;
    for (let right = i + 1; right < weights.length; right++) weights[right]! -= error * factor.data[factors + right]!;
  }
}

/**
 * The step of a block's grid: the largest weight is its largest multiple. It has so few significant bits that each multiple fits bfloat16's
 * eight, and none below 2^-20, so that float16 holds it too.
 */
export function stepOf(weights: Float32Array, bits: 4 | 8): number {
  const largest = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  const step = Math.max(largest / (2 ** (bits - 1) - 1), 2 ** -20);
  const unit = 2 ** (Math.floor(Math.log2(step)) - (8 - bits));
  return Math.ceil(step / unit) * unit;
}

function roundTo(weight: number, step: number, bits: 4 | 8): number {
  const most = 2 ** (bits - 1) - 1;
  return step * Math.max(-most, Math.min(most, Math.round(weight / step)));
}

/** Lets the columns from `first` on take over what the errors of columns to their left put on them. */
async function takeOver({ columns, data }: Matrix, errors: Matrix, factors: Matrix, first: number): Promise<void> {
  const change = await multiply(errors, factors);
  for (let row = 0; row < change.rows; row++) {
    const at = row * columns + first;
    for (let i = 0; i < change.columns; i++) data[at + i]! -= change.data[row * change.columns + i]!;
  }
}

const factorOf = ({ gram }: InputStatistics) => inverseFactor(gram!);

export const sparsegpt: PruningMethod = {
  name: "sparsegpt",
  needs: "gram",
  pattern: "tensor",
  fitsWeights: true,
  quantizes: true,
  summary: "second-order (OBS): prunes column by column, then updates the remaining weights",
  source: "Frantar and Alistarh 2023, arXiv 2301.00774",
  prune: async (weights, inputs, selection) => await pruneSparseGpt(weights, await inputs.once(factorOf), selection),
};

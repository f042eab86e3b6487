/**
 * SparseGPT (Frantar and Alistarh 2023, arXiv 2301.00774): columns from left to right, in blocks of 128; what a zeroed weight did for the
 * layer's output, the weights to its right take over as well as they can (optimal brain surgeon).
 */
import { cut, type Matrix, multiply } from "../../onnx/matrix.ts";
import { inverseCholesky } from "../cholesky.ts";
import { type SpanPattern, zeroLowest } from "../lowest.ts";

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
  pattern: SpanPattern,
  sparsity: number,
): Promise<void> {
  const { rows, columns, data } = weights;
  // Neither blocks nor strips must cut a group of m in two.
  const group = typeof pattern === "object" ? pattern.of : 1;
  const step = Math.max(1, Math.floor(blockColumns / group)) * group;
  const strip = Math.max(1, Math.floor(stripColumns / group)) * group;
  const diagonal = Float64Array.from({ length: columns }, (_, i) => factor.data[i * columns + i]!);
  let pruned = 0;
  for (let from = 0; from < columns; from += step) {
    const to = Math.min(from + step, columns);
    const width = to - from;
    // Counts that add up to the whole's, whatever each block's share rounds to.
    const perSpan = pattern === "row" ? 1 : rows;
    const target = Math.round(to * perSpan * sparsity) - pruned;
    pruned += target;
    const share = target / (width * perSpan);
    // 0 = goes. Groups are marked later, by what the columns before them have left.
    const marks = new Float32Array(rows * width).fill(1);
    if (typeof pattern === "string") {
      const scores = Float32Array.from(marks, (_, index) => {
        const column = from + (index % width);
        return (data[Math.floor(index / width) * columns + column]! / diagonal[column]!) ** 2;
      });
      zeroLowest(marks, scores, width, pattern, share);
    }
    const errors = new Float32Array(rows * width);
    for (let start = from; start < to; start += strip) {
      const end = Math.min(start + strip, to);
      for (let row = 0; row < rows; row++) {
        const ofRow = (values: Float32Array) => values.subarray(row * width + start - from, row * width + end - from);
        const own = data.subarray(row * columns + start, row * columns + end);
        pruneStrip(own, ofRow(marks), ofRow(errors), { diagonal, factor, start, pattern, share });
      }
      if (end === to) break;
      const own = { rows, columns: width, data: errors };
      await takeOver(weights, cut(own, 0, rows, start - from, end - from), cut(factor, start, end, end, to), end);
    }
    if (to < columns) {
      await takeOver(weights, { rows, columns: width, data: errors }, cut(factor, from, to, to, columns), to);
    }
  }
}

/**
 * Zeroes what is marked in one row of a strip, keeps the errors, and lets the row's weights to the right within the strip take them over.
 * Groups are marked as they are reached. `start` is the strip's first column.
 */
function pruneStrip(
  weights: Float32Array,
  marks: Float32Array,
  errors: Float32Array,
  {
    diagonal,
    factor,
    start,
    pattern,
    share,
  }: { diagonal: Float64Array; factor: Matrix; start: number; pattern: SpanPattern; share: number },
): void {
  for (let i = 0; i < weights.length; i++) {
    if (typeof pattern === "object" && i % pattern.of === 0) {
      const marksOfGroup = marks.subarray(i, i + pattern.of);
      const scores = Float32Array.from(marksOfGroup, (_, k) => (weights[i + k]! / diagonal[start + i + k]!) ** 2);
      zeroLowest(marksOfGroup, scores, pattern.of, pattern, share);
    }
    if (marks[i] !== 0) continue;
    const error = weights[i]! / diagonal[start + i]!;
    errors[i] = error;
    weights[i] = 0;
    const factors = (start + i) * factor.columns + start;
    for (let right = i + 1; right < weights.length; right++) weights[right]! -= error * factor.data[factors + right]!;
  }
}

/** Lets the columns from `first` on take over what the errors of columns to their left put on them. */
async function takeOver({ columns, data }: Matrix, errors: Matrix, factors: Matrix, first: number): Promise<void> {
  const change = await multiply(errors, factors);
  for (let row = 0; row < change.rows; row++) {
    const at = row * columns + first;
    for (let i = 0; i < change.columns; i++) data[at + i]! -= change.data[row * change.columns + i]!;
  }
}

/**
 * SparseGPT (Frantar and Alistarh 2023, arXiv 2301.00774): columns from left to right, in blocks of 128; what a zeroed weight did for the
 * layer's output, the weights to its right take over as well as they can (optimal brain surgeon).
 */
import { type Matrix, multiply } from "../onnx/matrix.ts";
import { inverseCholesky } from "./cholesky.ts";
import { type SpanPattern, zeroLowest } from "./lowest.ts";

const blockColumns = 128;
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
  // Blocks must not cut a group of m in two.
  const step =
    typeof pattern === "object" ? Math.max(1, Math.floor(blockColumns / pattern.of)) * pattern.of : blockColumns;
  let pruned = 0;
  for (let from = 0; from < columns; from += step) {
    const to = Math.min(from + step, columns);
    const width = to - from;
    const diagonal = Float64Array.from({ length: width }, (_, i) => factor.data[(from + i) * columns + from + i]!);
    // Counts that add up to the whole's, whatever each block's share rounds to.
    const perSpan = pattern === "row" ? 1 : rows;
    const target = Math.round(to * perSpan * sparsity) - pruned;
    pruned += target;
    const share = target / (width * perSpan);
    const block = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++)
      block.set(data.subarray(row * columns + from, row * columns + to), row * width);
    const errors = compensate(block, diagonal, factor, from, pattern, share);
    for (let row = 0; row < rows; row++) data.set(block.subarray(row * width, (row + 1) * width), row * columns + from);
    if (to === columns) break;
    const right = new Float32Array(width * (columns - to));
    for (let i = 0; i < width; i++) {
      right.set(factor.data.subarray((from + i) * columns + to, (from + i + 1) * columns), i * (columns - to));
    }
    const change = await multiply(
      { rows, columns: width, data: errors },
      { rows: width, columns: columns - to, data: right },
    );
    for (let row = 0; row < rows; row++) {
      for (let column = to; column < columns; column++) {
        data[row * columns + column]! -= change.data[row * (columns - to) + column - to]!;
      }
    }
  }
}

/** Prunes one block and moves its errors to the right within it. Returns the errors, for what lies right of it. */
function compensate(
  block: Float32Array,
  diagonal: Float64Array,
  factor: Matrix,
  from: number,
  pattern: SpanPattern,
  share: number,
): Float32Array {
  const width = diagonal.length;
  const errors = new Float32Array(block.length);
  const score = (row: number, i: number) => (block[row * width + i]! / diagonal[i]!) ** 2;
  // A kept weight stays where its score is finite and above the lowest; marks: 0 = goes.
  const marks = new Float32Array(block.length).fill(1);
  if (typeof pattern === "string") {
    const scores = new Float32Array(block.length);
    for (let index = 0; index < block.length; index++) scores[index] = (block[index]! / diagonal[index % width]!) ** 2;
    zeroLowest(marks, scores, width, pattern, share);
  }
  for (let at = 0; at < block.length; at += width) {
    for (let i = 0; i < width; i++) {
      if (typeof pattern === "object" && i % pattern.of === 0) {
        const group = marks.subarray(at + i, at + i + pattern.of);
        const scores = Float32Array.from(group, (_, k) => score(at / width, i + k));
        zeroLowest(group, scores, pattern.of, pattern, share);
      }
      if (marks[at + i] !== 0) continue;
      const error = block[at + i]! / diagonal[i]!;
      errors[at + i] = error;
      block[at + i] = 0;
      const row = (from + i) * factor.columns + from;
      for (let j = i + 1; j < width; j++) block[at + j]! -= error * factor.data[row + j]!;
    }
  }
  return errors;
}

/** Cholesky factors and what follows from them, in float64: blocks in TypeScript, the products between them by ONNX Runtime. */
import { cut, type Matrix, multiply } from "../onnx/matrix.ts";

type Square = Matrix<Float64Array>;

const blockSize = 64;

/** The inverse of the lower Cholesky factor L of a symmetric matrix, or undefined where the matrix is not positive definite. */
export async function inverseCholesky(matrix: Square): Promise<Square | undefined> {
  const factor = await cholesky(matrix);
  return factor && invertLower(factor);
}

/** The lower triangular L with L Lᵀ = matrix; its upper triangle is zero. */
async function cholesky(matrix: Square): Promise<Square | undefined> {
  const n = matrix.rows;
  const l = Float64Array.from(matrix.data);
  for (let from = 0; from < n; from += blockSize) {
    const to = Math.min(from + blockSize, n);
    for (let row = from; row < n; row++) {
      for (let column = from; column <= Math.min(row, to - 1); column++) {
        let sum = l[row * n + column]!;
        for (let k = from; k < column; k++) sum -= l[row * n + k]! * l[column * n + k]!;
        if (row !== column) l[row * n + column] = sum / l[column * n + column]!;
        else if (sum > 0) l[row * n + row] = Math.sqrt(sum);
        else return undefined; // NaN too
      }
    }
    if (to === n) break;
    const panel = cut({ rows: n, columns: n, data: l }, to, n, from, to);
    const product = (await multiply(panel, panel, { transposeB: true })).data;
    for (let row = to; row < n; row++) {
      for (let column = to; column <= row; column++)
        l[row * n + column]! -= product[(row - to) * (n - to) + column - to]!;
    }
  }
  for (let row = 0; row < n; row++) l.fill(0, row * n + row + 1, (row + 1) * n);
  return { rows: n, columns: n, data: l };
}

async function invertLower(lower: Square): Promise<Square> {
  const { rows: n, data: l } = lower;
  const x = new Float64Array(n * n);
  for (let from = 0; from < n; from += blockSize) {
    const to = Math.min(from + blockSize, n);
    const size = to - from;
    const inverse = new Float64Array(size * size);
    for (let column = 0; column < size; column++) {
      for (let row = column; row < size; row++) {
        let sum = row === column ? 1 : 0;
        for (let k = column; k < row; k++) sum -= l[(from + row) * n + from + k]! * inverse[k * size + column]!;
        inverse[row * size + column] = sum / l[(from + row) * n + from + row]!;
      }
    }
    for (let row = 0; row < size; row++) x.set(inverse.subarray(row * size, (row + 1) * size), (from + row) * n + from);
    if (from === 0) continue;
    const before = await multiply(cut(lower, from, to, 0, from), cut({ ...lower, data: x }, 0, from, 0, from));
    const left = (await multiply({ rows: size, columns: size, data: inverse }, before)).data;
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < from; column++) x[(from + row) * n + column] = -left[row * from + column]!;
    }
  }
  return { rows: n, columns: n, data: x };
}

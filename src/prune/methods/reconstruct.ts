/**
 * Fits kept weights to the dense layer's outputs: least squares on the support, row by row, by conjugate gradients on all rows at once
 * (Hestenes and Stiefel 1952, preconditioned by the diagonal). The mask stays as it is.
 */
import { type Matrix, multiply } from "../../onnx/matrix.ts";

// Enough for the error to stop falling in its third digit on Gemma's layers.
const iterations = 20;
const damping = 0.01;

/**
 * Changes the non-zero weights of `pruned` in place, so that P G comes near to `target` in the sense of least squares, with G the Gram matrix
 * of the inputs. `target` is D G to fit to the dense weights D. 1 % of G's mean diagonal pulls weights to the dense ones where inputs say little.
 */
export async function reconstruct(dense: Matrix, pruned: Matrix, gram: Matrix, target: Matrix): Promise<void> {
  const { rows, columns, data: x } = pruned;
  const length = rows * columns;
  const { damped, added } = dampen(gram);
  const support = Uint8Array.from(x, (value) => (value === 0 ? 0 : 1));
  const now = (await multiply(pruned, damped)).data;
  const residual = target.data.map((value, index) => value + added * dense.data[index]! - now[index]!);
  const inverse = Float32Array.from({ length: columns }, (_, i) => 1 / damped.data[i * columns + i]!);
  const direction = new Float32Array(length);
  const before = new Float64Array(rows);
  for (let iteration = 0; iteration < iterations; iteration++) {
    for (let row = 0; row < rows; row++) {
      let product = 0;
      for (let at = row * columns, column = 0; column < columns; at++, column++) {
        if (support[at]) product += residual[at]! ** 2 * inverse[column]!;
      }
      const share = iteration === 0 || before[row] === 0 ? 0 : product / before[row]!;
      before[row] = product;
      for (let at = row * columns, column = 0; column < columns; at++, column++) {
        if (support[at]) direction[at] = residual[at]! * inverse[column]! + share * direction[at]!;
      }
    }
    const change = (await multiply({ rows, columns, data: direction }, damped)).data;
    for (let row = 0; row < rows; row++) {
      let curvature = 0;
      for (let at = row * columns; at < (row + 1) * columns; at++) curvature += direction[at]! * change[at]!;
      // A row that is done, or has nothing to keep.
      if (!(curvature > 0)) continue;
      const step = before[row]! / curvature;
      for (let at = row * columns; at < (row + 1) * columns; at++) {
        x[at]! += step * direction[at]!;
        residual[at]! -= step * change[at]!;
      }
    }
  }
}

/** G with 1 % of its mean diagonal added to its diagonal; of 1 where there was no input at all. */
function dampen(gram: Matrix): { damped: Matrix; added: number } {
  const n = gram.rows;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += gram.data[i * n + i]! / n;
  const added = damping * (mean || 1);
  const data = gram.data.slice();
  for (let i = 0; i < n; i++) data[i * n + i]! += added;
  return { damped: { ...gram, data }, added };
}

/**
 * SparseSwaps (arXiv 2512.10922): as long as it lowers the layer's error on its inputs, one zeroed weight of a row comes back and one kept
 * weight goes. Counts per row (or group) stay as they were, kept weights keep their values.
 */
import { type Matrix, multiply } from "../../onnx/matrix.ts";
import type { SpanPattern } from "../select.ts";
import { type MaskRefinement, singleGram } from "./method.ts";

const mostSwaps = 200;
// The pair is sought among the best of each side, whose joint term is then counted in exactly.
const candidates = 8;

/**
 * Refines the mask of `pruned` in place. With e the part of a row that is zeroed and r = G e, the squared error e G e changes by
 * 2 w r + w² G when a weight goes, by -2 w r + w² G when it comes back, and by -2 w w' G' for the two together.
 */
async function swapMask(dense: Matrix, pruned: Matrix, gram: Matrix, pattern: SpanPattern): Promise<void> {
  const { rows, columns } = dense;
  const gone = { ...dense, data: dense.data.map((value, index) => (pruned.data[index] === 0 ? value : 0)) };
  const products = (await multiply(gone, gram)).data;
  const span = typeof pattern === "object" ? pattern.of : columns;
  for (let row = 0; row < rows; row++) {
    const w = dense.data.subarray(row * columns, (row + 1) * columns);
    const kept = pruned.data.subarray(row * columns, (row + 1) * columns);
    const r = products.subarray(row * columns, (row + 1) * columns);
    for (let swap = 0; swap < mostSwaps; swap++) {
      const best = bestSwap(w, kept, r, gram, span);
      if (!best) break;
      const [out, back] = best;
      kept[out] = 0;
      kept[back] = w[back]!;
      const [wOut, wBack] = [w[out]!, w[back]!];
      const [gOut, gBack] = [out * columns, back * columns];
      for (let i = 0; i < columns; i++) r[i]! += wOut * gram.data[gOut + i]! - wBack * gram.data[gBack + i]!;
    }
  }
}

function bestSwap(
  w: Float32Array,
  kept: Float32Array,
  r: Float32Array,
  gram: Matrix,
  span: number,
): [number, number] | undefined {
  const columns = w.length;
  let best: [number, number] | undefined;
  let lowest = 0;
  for (let from = 0; from < columns; from += span) {
    const outs = new Candidates();
    const backs = new Candidates();
    for (let i = from; i < from + span; i++) {
      const own = w[i]! ** 2 * gram.data[i * columns + i]!;
      if (w[i] === 0) continue;
      if (kept[i] === 0) backs.add(i, own - 2 * w[i]! * r[i]!);
      else outs.add(i, own + 2 * w[i]! * r[i]!);
    }
    for (let a = 0; a < outs.count; a++) {
      for (let b = 0; b < backs.count; b++) {
        const [out, back] = [outs.index[a]!, backs.index[b]!];
        const together = 2 * w[out]! * w[back]! * gram.data[out * columns + back]!;
        const change = outs.value[a]! + backs.value[b]! - together;
        // Less than rounding could make of nothing.
        const floor = -1e-5 * (Math.abs(outs.value[a]!) + Math.abs(backs.value[b]!) + Math.abs(together));
        if (change < Math.min(lowest, floor)) {
          lowest = change;
          best = [out, back];
        }
      }
    }
  }
  return best;
}

/** The few lowest values, in order. */
class Candidates {
  readonly index = new Int32Array(candidates);
  readonly value = new Float64Array(candidates);
  count = 0;

  add(index: number, value: number): void {
    if (this.count === candidates && value >= this.value[candidates - 1]!) return;
    if (this.count < candidates) this.count++;
    let at = this.count - 1;
    for (; at > 0 && this.value[at - 1]! > value; at--) {
      this.value[at] = this.value[at - 1]!;
      this.index[at] = this.index[at - 1]!;
    }
    this.value[at] = value;
    this.index[at] = index;
  }
}

export const swaps: MaskRefinement = {
  name: "swaps",
  needs: "gram",
  keepsGroups: true,
  summary: "swaps a zeroed and a kept weight of a row as long as that lowers the layer's error",
  source: "SparseSwaps 2025, arXiv 2512.10922",
  refine: (dense, pruned, inputs, pattern) => swapMask(dense, pruned, inputs.once(singleGram), pattern),
};

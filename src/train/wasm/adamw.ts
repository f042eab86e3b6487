/**
 * AdamW over weights that lie in this memory: AssemblyScript, compiled to WebAssembly with SIMD.
 *
 * All addresses are multiples of 16, and counts multiples of 4; the caller fills up with zeros, which change nothing. With `keepZeros` a weight
 * that is zero gets no gradient: it stays zero to the bit, and so do its moments.
 */

/** All bits where the weights may move. */
function free(weights: v128, keepZeros: bool): v128 {
  return keepZeros ? f32x4.ne(weights, f32x4.splat(0)) : i32x4.splat(-1);
}

/** Σ g², in float64, of the gradients that count. */
export function sumOfSquares(weights: usize, gradients: usize, count: u32, keepZeros: bool): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let end = gradients + count * 4; gradients < end; gradients += 16, weights += 16) {
    const g = v128.and(v128.load(gradients), free(v128.load(weights), keepZeros));
    const a = f64x2.promote_low_f32x4(g);
    const b = f64x2.promote_low_f32x4(i8x16.shuffle(g, g, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  const sum = f64x2.add(low, high);
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** Adds `source` to `target`. */
export function add(target: usize, source: usize, count: u32): void {
  for (let end = target + count * 4; target < end; target += 16, source += 16) {
    v128.store(target, f32x4.add(v128.load(target), v128.load(source)));
  }
}

/**
 * One step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101): g ← scale · g; m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
 * w ← (1 − decay) w − rate · m / (√(v · correction) + ε).
 *
 * @param rate Learning rate over 1 − β₁ᵗ.
 * @param correction 1 / (1 − β₂ᵗ).
 * @param decay Learning rate times weight decay.
 */
export function update(
  weights: usize,
  gradients: usize,
  first: usize,
  second: usize,
  count: u32,
  keepZeros: bool,
  scale: f32,
  rate: f32,
  beta1: f32,
  beta2: f32,
  correction: f32,
  epsilon: f32,
  decay: f32,
): void {
  const b1 = f32x4.splat(beta1);
  const b2 = f32x4.splat(beta2);
  const c1 = f32x4.splat(1 - beta1);
  const c2 = f32x4.splat(1 - beta2);
  const keep = f32x4.splat(1 - decay);
  for (let end = weights + count * 4; weights < end; weights += 16, gradients += 16, first += 16, second += 16) {
    const w = v128.load(weights);
    const mayMove = free(w, keepZeros);
    const g = v128.and(f32x4.mul(v128.load(gradients), f32x4.splat(scale)), mayMove);
    const m = f32x4.add(f32x4.mul(b1, v128.load(first)), f32x4.mul(c1, g));
    const v = f32x4.add(f32x4.mul(b2, v128.load(second)), f32x4.mul(c2, f32x4.mul(g, g)));
    v128.store(first, m);
    v128.store(second, v);
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(v, f32x4.splat(correction))), f32x4.splat(epsilon));
    const moved = f32x4.sub(f32x4.mul(w, keep), f32x4.div(f32x4.mul(f32x4.splat(rate), m), root));
    v128.store(weights, v128.and(moved, mayMove));
  }
}

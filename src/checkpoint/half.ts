/**
 * bfloat16, float16 and float32, converted a whole array at a time. Node 20 has no Float16Array, and no version has a
 * bfloat16 one: both are held as their 16 bits in a Uint16Array. All of this assumes a little-endian machine, as does
 * every platform that Node's onnxruntime is built for.
 */

/** Expands bfloat16 bits to float32, which is exact. Writes to `target` where given (as long as `source`, or longer). */
export function bf16ToFloat32(
  source: Uint16Array,
  target: Float32Array = new Float32Array(source.length),
): Float32Array {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  const count = source.length;
  if (count > target.length) throw new RangeError(`target is shorter than source: ${target.length} < ${count}`);
  for (let i = 0; i < count; i++) bits[i] = source[i]! << 16;
  return target;
}

/**
 * Rounds float32 to bfloat16, to nearest, ties to even. NaN stays NaN (quiet, sign and upper payload kept); what is
 * beyond the largest finite bfloat16 becomes infinity, as in torch. Writes to `target` from index `at` on where given.
 */
export function float32ToBf16(
  source: Float32Array,
  target: Uint16Array = new Uint16Array(source.length),
  at = 0,
): Uint16Array {
  const bits = new Int32Array(source.buffer, source.byteOffset, source.length);
  const count = source.length;
  if (at + count > target.length) throw new RangeError(`target is too short: ${target.length} < ${at + count}`);
  // A view of its own: adding `at` to each index takes half as long again.
  const result = target.subarray(at, at + count);
  for (let i = 0; i < count; i++) {
    const x = bits[i]!;
    // The comparison is of |x|'s bits as an int32: above 0x7f800000 is NaN, which the rounding might carry to infinity.
    result[i] = (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return target;
}

let float16Values: Float32Array | undefined;

/** The float32 value of each of the 65,536 float16 bit patterns; 256 kB, made on first use. */
export function float16Table(): Float32Array {
  if (float16Values) return float16Values;
  const bits = new Uint32Array(65_536);
  for (let half = 0; half < 65_536; half++) {
    const sign = (half & 0x8000) << 16;
    let exponent = (half >> 10) & 0x1f;
    let fraction = half & 0x3ff;
    if (exponent === 0x1f) {
      bits[half] = sign | 0x7f800000 | (fraction << 13);
    } else if (exponent === 0 && fraction === 0) {
      bits[half] = sign;
    } else {
      if (exponent === 0) {
        // A subnormal float16 is a normal float32: shift the leading one out of the fraction.
        const shift = Math.clz32(fraction) - 21;
        fraction = (fraction << shift) & 0x3ff;
        exponent = 1 - shift;
      }
      bits[half] = sign | ((exponent + 112) << 23) | (fraction << 13);
    }
  }
  float16Values = new Float32Array(bits.buffer);
  return float16Values;
}

/** Expands float16 bits to float32, which is exact. */
export function float16ToFloat32(
  source: Uint16Array,
  target: Float32Array = new Float32Array(source.length),
): Float32Array {
  const table = float16Table();
  const count = source.length;
  if (count > target.length) throw new RangeError(`target is shorter than source: ${target.length} < ${count}`);
  for (let i = 0; i < count; i++) target[i] = table[source[i]!]!;
  return target;
}

/** The index of the first infinity or NaN among bfloat16 bits, or -1. */
export function indexOfNonFinite(bits: Uint16Array): number {
  const count = bits.length;
  for (let i = 0; i < count; i++) if ((bits[i]! & 0x7f80) === 0x7f80) return i;
  return -1;
}

/** Rounds float32 to float16, to nearest, ties to even; what is beyond 65,504 becomes infinity. NaN stays NaN, and -0 stays -0. */
export function float32ToFloat16(
  source: Float32Array,
  target: Uint16Array = new Uint16Array(source.length),
): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const count = source.length;
  if (count > target.length) throw new RangeError(`target is shorter than source: ${target.length} < ${count}`);
  for (let i = 0; i < count; i++) {
    const sign = (bits[i]! >>> 16) & 0x8000;
    const x = bits[i]! & 0x7fffffff;
    if (x >= 0x38800000 && x < 0x47800000) {
      // A carry out of the fraction goes into the exponent, up to infinity.
      target[i] = sign | (((x + 0xfff + ((x >>> 13) & 1)) >>> 13) - 0x1c000);
    } else if (x >= 0x47800000) {
      target[i] = sign | (x > 0x7f800000 ? 0x7e00 | ((x >>> 13) & 0x3ff) : 0x7c00);
    } else if (x <= 0x33000000) {
      target[i] = sign;
    } else {
      // A subnormal counts 2^-24; below 2^-14 each power of two takes a bit off the fraction.
      const fraction = (x & 0x7fffff) | 0x800000;
      const shift = 126 - (x >>> 23);
      const half = 1 << (shift - 1);
      const rest = fraction & ((1 << shift) - 1);
      const whole = fraction >>> shift;
      target[i] = sign | (whole + Number(rest > half || (rest === half && (whole & 1) === 1)));
    }
  }
  return target;
}

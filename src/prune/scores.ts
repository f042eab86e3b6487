/** Scores every weight of a tensor: the smaller, the sooner it goes. A weight that is zero already scores 0, so it goes first. */
import { createHash } from "node:crypto";
import type { PruningPlan } from "./options.ts";

/**
 * Writes one score per weight as the bits of a non-negative float32, which sort as integers do (IEEE 754), so that
 * selection needs no comparison of floats.
 */
export type ScoreTensor = (name: string, weights: Uint16Array, scores: Uint32Array) => void;

/** The scores of a plan's method. Pure: the same name and weights always get the same scores. */
export function scoreOf(plan: PruningPlan): ScoreTensor {
  return { magnitude: scoreMagnitude, random: scoreRandom(plan.seed) }[plan.method];
}

/** |w|: a bfloat16 is the upper half of a float32, and without its sign bit the magnitude. */
function scoreMagnitude(_name: string, weights: Uint16Array, scores: Uint32Array): void {
  for (let index = 0; index < weights.length; index++) scores[index] = (weights[index]! & 0x7fff) << 16;
}

/**
 * A random integer from 1 to 2^24 (each exact in float32) that depends on seed, tensor name and index alone, so that a
 * higher sparsity zeroes a superset of what a lower one does.
 */
function scoreRandom(seed: number): ScoreTensor {
  return (name, weights, scores) => {
    const digest = createHash("sha256").update(`${seed}\0${name}`).digest();
    const [first, second] = [digest.readInt32LE(0), digest.readInt32LE(4)];
    const floats = new Float32Array(scores.buffer, scores.byteOffset, scores.length);
    for (let index = 0; index < weights.length; index++) {
      const random = (mix(mix(index ^ first) ^ second) >>> 8) + 1;
      floats[index] = (weights[index]! & 0x7fff) === 0 ? 0 : random;
    }
  };
}

/** The 32-bit mixer "lowbias32" of https://nullprogram.com/blog/2018/07/31/: every input bit flips every output bit. */
function mix(value: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Random numbers from a text, the same ones in a run that goes on. */
import { createHash } from "node:crypto";
import { mersenne } from "pure-rand/generator/mersenne";

/** Numbers in [0, 1). */
export function uniform(seed: string): () => number {
  const generator = mersenne(createHash("sha256").update(seed).digest().readInt32LE());
  return () => (generator.next() >>> 0) / 2 ** 32;
}

/** Normally distributed numbers, by Box and Muller. */
export function normal(seed: string): () => number {
  const random = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Fisher and Yates. */
export function shuffle<T>(items: readonly T[], seed: string): T[] {
  const random = uniform(seed);
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled;
}

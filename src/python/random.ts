/** Python's `random.Random`, since lm-eval draws its examples with it. */
import { mersenneFromState } from "pure-rand/generator/mersenne";

/** A generator with Python's stream of numbers. */
export interface PythonRandom {
  /** Python's `sample(range(population), count)`: distinct integers below `population`, in the order drawn. */
  sample(population: number, count: number): number[];
}

/**
 * Python 3.11's `random.Random(seed)`: the Mersenne Twister MT19937 (Matsumoto and Nishimura 1998, with the seeding by array of
 * 2002), and the rules by which Python's `random.py` draws from it.
 *
 * @param seed An integer from 0 to 2³² − 1.
 */
export function pythonRandom(seed: number): PythonRandom {
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new RangeError(`seed must be an integer from 0 to 4294967295: ${seed}`);
  }
  const twister = mersenneFromState([0, ...twisted(seededByArray(seed))]);
  /** Python's `_randbelow`: as many high bits as `limit` has, again until the number is below it. */
  const below = (limit: number): number => {
    const bits = 32 - Math.clz32(limit);
    for (;;) {
      const value = (twister.next() >>> 0) >>> (32 - bits);
      if (value < limit) return value;
    }
  };
  return {
    sample(population, count) {
      if (!(count >= 0 && count <= population)) {
        throw new RangeError(`cannot draw ${count} of ${population} without repetition`);
      }
      const drawn: number[] = [];
      // Python keeps a list of what is left where that takes less memory than a set of what is gone; the draws differ.
      const setSize = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 0);
      if (population <= setSize) {
        const left = Array.from({ length: population }, (_, index) => index);
        for (let size = population; drawn.length < count; size--) {
          const place = below(size);
          drawn.push(left[place]!);
          left[place] = left[size - 1]!;
        }
        return drawn;
      }
      const gone = new Set<number>();
      while (drawn.length < count) {
        const index = below(population);
        if (gone.has(index)) continue;
        gone.add(index);
        drawn.push(index);
      }
      return drawn;
    },
  };
}

const STATE_LENGTH = 624;

/** MT19937's `init_by_array` with the one key `seed`. */
function seededByArray(seed: number): number[] {
  const state = [19_650_218];
  const mixed = (index: number, factor: number) => {
    const before = state[index - 1]!;
    return Math.imul(before ^ (before >>> 30), factor);
  };
  for (let index = 1; index < STATE_LENGTH; index++) state.push((mixed(index, 1_812_433_253) + index) | 0);
  let index = 1;
  const advance = (value: number) => {
    state[index] = value | 0;
    index += 1;
    if (index < STATE_LENGTH) return;
    state[0] = state[STATE_LENGTH - 1]!;
    index = 1;
  };
  for (let step = 0; step < STATE_LENGTH; step++) advance((state[index]! ^ mixed(index, 1_664_525)) + seed);
  for (let step = 1; step < STATE_LENGTH; step++) advance((state[index]! ^ mixed(index, 1_566_083_941)) - index);
  state[0] = 0x80_00_00_00 | 0;
  return state;
}

/** The next 624 words. pure-rand hands a word out before it replaces it, the reference after. */
function twisted(state: readonly number[]): number[] {
  const words = [...state];
  for (let index = 0; index < STATE_LENGTH; index++) {
    const joined = (words[index]! & 0x80_00_00_00) | (words[(index + 1) % STATE_LENGTH]! & 0x7f_ff_ff_ff);
    words[index] = words[(index + 397) % STATE_LENGTH]! ^ (joined >>> 1) ^ (joined & 1 ? 0x99_08_b0_df : 0);
  }
  return words;
}

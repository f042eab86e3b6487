/** Damaged copies of a small valid file, for fuzzing the parsers. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { PrunelabError } from "../errors.ts";

/** The file cut at a random length, with random bytes in a few places, or both. Half of the places are near the start. */
export function damaged(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  const place = fc.oneof(fc.nat(Math.min(400, valid.length - 1)), fc.nat(valid.length - 1));
  // The extremes find more than the middle: sizes that turn negative or huge.
  const byte = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff));
  return fc
    .record({
      length: fc.oneof(fc.constant(valid.length), fc.nat(valid.length)),
      changes: fc.array(fc.tuple(place, byte), { maxLength: 8 }),
    })
    .map(({ length, changes }) => {
      const bytes = valid.slice();
      for (const [at, value] of changes) bytes[at] = value;
      return bytes.subarray(0, length);
    });
}

/** Runs `use`; any error but a PrunelabError fails the test, and so does taking more memory than a small file warrants. */
export async function assertSafe(use: () => Promise<unknown>): Promise<void> {
  const before = process.memoryUsage().arrayBuffers;
  try {
    await use();
  } catch (error) {
    if (!(error instanceof PrunelabError)) throw error;
  }
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 50_000_000, `took ${grown} bytes`);
}

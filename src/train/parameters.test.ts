import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openParameters } from "./parameters.ts";

const adam = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, scale: 0.5 };

/** The same steps in float64. */
function reference(values: readonly number[], gradients: readonly number[][], keepZeros: boolean): number[] {
  return values.map((start, i) => {
    if (keepZeros && start === 0) return start;
    let [w, m, v] = [start, 0, 0];
    gradients.forEach((row, index) => {
      const g = row[i]! * adam.scale;
      m = adam.beta1 * m + (1 - adam.beta1) * g;
      v = adam.beta2 * v + (1 - adam.beta2) * g * g;
      const step = index + 1;
      const root = Math.sqrt(v / (1 - adam.beta2 ** step)) + adam.epsilon;
      w = w * (1 - adam.learningRate * adam.weightDecay) - (adam.learningRate * m) / (1 - adam.beta1 ** step) / root;
    });
    return w;
  });
}

test("AdamW steps as its formula says, and zeros stay zero to the bit where asked", async () => {
  const number = fc.double({ min: -2, max: 2, noNaN: true });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 9 }),
      fc.boolean(),
      fc.array(number, { minLength: 40, maxLength: 40 }),
      async (length, keepZeros, numbers) => {
        const values = numbers.slice(0, length).map((x, i) => (i % 3 === 1 ? 0 : Math.fround(x)));
        const group = await openParameters(
          [
            { name: "a", values: Float32Array.from(values) },
            { name: "b", values: Float32Array.of(1) },
          ],
          { keepZeros },
        );
        const [a, b] = group.parameters;
        const gradients = [1, 2, 3].map((step) => numbers.slice(step * 9, step * 9 + length));
        for (const [index, gradient] of gradients.entries()) {
          a!.gradient.set(gradient);
          b!.gradient.set([1]);
          group.update({ ...adam, step: index + 1 });
        }
        const expected = reference(values, gradients, keepZeros);
        for (const [i, value] of expected.entries()) {
          if (keepZeros && values[i] === 0) assert.ok(Object.is(a!.values[i], 0));
          // A gradient near epsilon has a step of a size that rounding decides.
          else assert.ok(Math.abs(a!.values[i]! - value) < 1e-5 || gradients.some((row) => Math.abs(row[i]!) < 1e-4));
        }
        assert.notEqual(b!.values[0], 1);
      },
    ),
    { seed: 1, numRuns: 60 },
  );
});

test("the norm leaves out what cannot move; gradients that were put aside are added", async () => {
  const group = await openParameters([{ name: "a", values: Float32Array.of(1, 0, -2, 3, 4) }], {
    keepZeros: true,
    accumulates: true,
  });
  const [{ gradient }] = group.parameters as [(typeof group.parameters)[number]];
  gradient.set([1, 10, 2, 3, 4]);
  assert.equal(group.sumOfSquares(), 30);
  group.putAside();
  gradient.set([1, 1, 1, 1, 1]);
  group.gather();
  assert.deepEqual([...gradient], [2, 11, 3, 4, 5]);
  gradient.set([1, 1, 1, 1, 1]);
  group.gather();
  assert.deepEqual([...gradient], [1, 1, 1, 1, 1]);
});

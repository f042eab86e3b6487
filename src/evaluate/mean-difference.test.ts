import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bootstrapMean } from "./mean-difference.ts";

const differences = Array.from({ length: 40 }, (_, index) => (((index * 37) % 11) - 4) / 4);

describe("bootstrapMean", () => {
  it("agrees with numpy 2.4, draw for draw", () => {
    // d = np.array([(i * 37 % 11 - 4) / 4 for i in range(40)])
    // u = np.random.RandomState(42).randint(0, 2**32, size=2000 * 40, dtype=np.uint32)
    // m = d[(u / 2**32 * 40).astype(int).reshape(2000, 40)].sum(1) / 40
    // d.mean(), np.percentile(m, [2.5, 97.5]), (m <= 0).sum()
    const { mean, low, high, p } = bootstrapMean(differences, { seed: 42, resamples: 2000 });
    assert.equal(mean, 0.2125);
    assert.ok(Math.abs(low - -0.04390625) < 1e-15 && Math.abs(high - 0.4625) < 1e-15, `${low} ${high}`);
    assert.equal(p, (2 * (1 + 97)) / 2001);
  });

  it("comes near scipy's bootstrap and t-test with any seed", () => {
    // scipy.stats.bootstrap((d,), np.mean, method="percentile", n_resamples=20000, rng=1): -0.031 to 0.456
    // scipy.stats.ttest_1samp(d, 0).pvalue: 0.103
    for (const seed of [0, 1, 2, 3]) {
      const { low, high, p } = bootstrapMean(differences, { seed, resamples: 10_000 });
      assert.ok(Math.abs(low - -0.031) < 0.02 && Math.abs(high - 0.456) < 0.02, `${low} ${high}`);
      assert.ok(Math.abs(p - 0.103) < 0.03, String(p));
    }
  });

  it("gives the same numbers for the same seed, others for another", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 3, maxLength: 30 }),
        fc.integer(),
        (given, seed) => {
          const options = { seed, resamples: 100 };
          assert.deepEqual(bootstrapMean(given, options), bootstrapMean(given, options));
        },
      ),
    );
    const [first, second] = [0, 1].map((seed) => bootstrapMean(differences, { seed, resamples: 100 }));
    assert.notDeepEqual(first, second);
  });

  it("turns round when the models swap", () => {
    const options = { seed: 7, resamples: 999 };
    const there = bootstrapMean(differences, options);
    const back = bootstrapMean(
      differences.map((difference) => -difference),
      options,
    );
    assert.equal(back.mean, -there.mean);
    assert.equal(back.p, there.p);
    assert.ok(Math.abs(back.low + there.high) < 1e-12 && Math.abs(back.high + there.low) < 1e-12);
  });

  it("knows no doubt where all documents agree, and finds nothing where nothing differs", () => {
    const options = { seed: 0, resamples: 999 };
    assert.deepEqual(bootstrapMean([0.5, 0.5, 0.5], options), { mean: 0.5, low: 0.5, high: 0.5, p: 2 / 1000 });
    assert.deepEqual(bootstrapMean([0, 0], options), { mean: 0, low: 0, high: 0, p: 1 });
  });
});

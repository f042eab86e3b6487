import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { meanDifference } from "./mean-difference.ts";
import { sequentialInterval, sequentialP } from "./sequential.ts";
import {
  changeInterval,
  detectableDifference,
  exactInterval,
  holm,
  mcnemar,
  mcnemarExact,
  mcnemarMidP,
  shareInterval,
  wilsonInterval,
} from "./statistics.ts";

const near = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} ± ${tolerance}`);

describe("wilsonInterval", () => {
  it("gives the published examples", () => {
    // Newcombe, Statistics in Medicine 17 (1998) 857–872, Table I, method 3, to four digits.
    for (const [right, n, low, high] of [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const) {
      const interval = wilsonInterval(right, n);
      near(interval.low, low, 5e-5);
      near(interval.high, high, 5e-5);
    }
  });

  it("agrees with statsmodels 0.15", () => {
    // [proportion_confint(k, n, method="wilson") for k, n in ((87, 200), (59, 200), (184, 726), (189, 726), (7021, 14042))]
    for (const [right, n, low, high] of [
      [87, 200, 0.36815725502699076, 0.504292637402054],
      [59, 200, 0.23613943856849146, 0.3615871452461878],
      [184, 726, 0.22315685344942177, 0.2863256572064264],
      [189, 726, 0.22973131315979134, 0.29345280334365886],
      [7021, 14042, 0.4917311671244341, 0.5082688328755659],
    ] as const) {
      const interval = wilsonInterval(right, n);
      near(interval.low, low, 1e-14);
      near(interval.high, high, 1e-14);
    }
  });

  it("contains the share, stays in [0, 1], and mirrors right and wrong", () => {
    fc.assert(
      fc.property(rightOf(20_000), ({ right, n }) => {
        const { low, high } = wilsonInterval(right, n);
        assert.ok(0 <= low && low <= right / n && right / n <= high && high <= 1);
        near(wilsonInterval(n - right, n).high, 1 - low, 1e-12);
      }),
    );
  });
});

describe("mcnemarMidP", () => {
  it("gives the published examples", () => {
    // Fagerland, Lydersen and Laake 2013: airway responsiveness of 21 children. The other two are the examples of the same
    // authors' Statistical Analysis of Contingency Tables (2017), chapter 8, as their R package contingencytables gives them.
    near(mcnemarMidP(1, 7), 0.0391, 5e-5);
    near(mcnemarMidP(6, 16), 0.03469, 5e-7);
    near(mcnemarMidP(25, 2), 0.000003, 5e-7);
  });

  it("agrees with scipy 1.17, also for thousands of documents", () => {
    // mcnemar([[0, b], [c, 0]], exact=True).pvalue - scipy.stats.binom.pmf(min(b, c), b + c, 0.5), with statsmodels' mcnemar
    for (const [lost, won, p] of [
      [1, 7, 0.0390625],
      [1, 0, 0.5],
      [40, 12, 8.171334999262913e-5],
      [300, 420, 7.501715593073648e-6],
      [2900, 3100, 0.00982361437059414],
    ] as const) {
      near(mcnemarMidP(lost, won), p, p * 1e-9);
    }
    // Equal counts: 1 - scipy.stats.binom.pmf(9, 18, 0.5) / 2, the paper's rule.
    near(mcnemarMidP(9, 9), 0.907264709472656, 1e-13);
  });

  it("holds the card's own counts", () => {
    // HellaSwag 87 → 59 of 200: even if no document is right in both runs the loss is beyond 5 %.
    near(mcnemarMidP(87, 59), 0.0206051481791779, 1e-12);
    for (let bothRight = 0; bothRight <= 59; bothRight++)
      assert.ok(mcnemarMidP(87 - bothRight, 59 - bothRight) < 0.021);
    // MMLU, five subjects, 184 → 189 of 726: a gain only if hardly any answer changed.
    for (let bothRight = 0; bothRight <= 181; bothRight++)
      assert.ok(mcnemarMidP(184 - bothRight, 189 - bothRight) > 0.05);
  });

  it("finds nothing where no document or equally many speak for each side, and certainty where all do", () => {
    assert.equal(mcnemarMidP(0, 0), 1);
    assert.ok(mcnemarMidP(5000, 5000) > 0.99);
    assert.equal(mcnemarMidP(0, 20_000), 0);
  });

  it("is a probability, the same when the models swap, smaller when the split is more lopsided", () => {
    fc.assert(
      fc.property(fc.nat(3000), fc.nat(3000), (lost, won) => {
        const p = mcnemarMidP(lost, won);
        assert.ok(0 <= p && p <= 1);
        assert.equal(mcnemarMidP(won, lost), p);
        if (lost > won && won > 0) assert.ok(mcnemarMidP(lost + 1, won - 1) <= p);
      }),
    );
  });
});

describe("changeInterval", () => {
  it("gives the published example", () => {
    // Complete response before and after consolidation therapy (Cavo 2012): -0.0621 (-0.1186 to -0.0046) in Fagerland,
    // Lydersen and Laake (2017), chapter 8, with their first treatment less the second.
    const { low, high } = changeInterval({ bothRight: 59, lost: 6, won: 16, bothWrong: 80 });
    near(low, 0.0046, 5e-5);
    near(high, 0.1186, 5e-5);
  });

  it("contains the change, stays in [-1, 1], and turns round when the models swap", () => {
    fc.assert(
      fc.property(fc.tuple(fc.nat(500), fc.nat(500), fc.nat(500), fc.nat(500)), ([bothRight, lost, won, bothWrong]) => {
        const n = bothRight + lost + won + bothWrong;
        fc.pre(n > 0);
        const { low, high } = changeInterval({ bothRight, lost, won, bothWrong });
        const change = (won - lost) / n;
        assert.ok(-1 - 1e-12 <= low && low <= change + 1e-12 && change <= high + 1e-12 && high <= 1 + 1e-12);
        const swapped = changeInterval({ bothRight, lost: won, won: lost, bothWrong });
        near(swapped.low, -high, 1e-12);
        near(swapped.high, -low, 1e-12);
      }),
    );
  });
});

describe("exactInterval", () => {
  it("agrees with scipy", () => {
    // scipy 1.17: beta.ppf(a / 2, k, n - k + 1), beta.ppf(1 - a / 2, k + 1, n - k) for k, n, a in ((2, 10, .05), (0, 4, .05), (4, 4, .025), (13, 29, .05))]
    for (const [right, n, alpha, low, high] of [
      [2, 10, 0.05, 0.02521072632683336, 0.5560954623076415],
      [0, 4, 0.05, 0.0, 0.6023646356164746],
      [4, 4, 0.025, 0.334370152488211, 1.0],
      [13, 29, 0.05, 0.2644553037067049, 0.6430612891960847],
    ] as const) {
      const interval = exactInterval(right, n, alpha);
      near(interval.low, low, 1e-10);
      near(interval.high, high, 1e-10);
    }
  });
});

describe("mcnemarExact", () => {
  it("is the binomial test, and no test of four documents goes below 0.125", () => {
    // scipy.stats.binomtest(k, n, .5).pvalue
    assert.equal(mcnemarExact(4, 0), 0.125);
    near(mcnemarExact(1, 7), 0.0703125, 1e-15);
    near(mcnemarExact(5, 15), 0.04138946533203125, 1e-15);
    assert.deepEqual([mcnemarExact(0, 0), mcnemarExact(3, 3)], [1, 1]);
    assert.deepEqual([mcnemar(1, 7), mcnemar(6, 19)], [mcnemarExact(1, 7), mcnemarMidP(6, 19)]);
  });
});

describe("what the library says at any n", () => {
  // Under equality: the share of runs with p below u must not be above u by more than chance (4 standard errors; McNemar's mid-p, used from 25
  // documents on, may be 0.015 above: at 50 documents that all differ its size at 5 % is 0.065).
  const levels = [0.01, 0.05, 0.1, 0.2, 0.5];
  const isUniform = (ps: readonly number[], what: string, slack = 0) => {
    for (const u of levels) {
      const share = ps.filter((p) => p <= u + 1e-12).length / ps.length;
      const limit = u + slack + 4 * Math.sqrt((u * (1 - u)) / ps.length);
      assert.ok(share <= limit, `${what}: ${share} of p at or below ${u}`);
    }
  };
  const covers = (hits: readonly boolean[], what: string, least = 0.95) => {
    const share = hits.filter(Boolean).length / hits.length;
    assert.ok(share >= least - 4 * Math.sqrt(0.0475 / hits.length), `${what}: covered in ${share}`);
  };
  const random = xorshift(20261130);
  const repeat = <Value>(count: number, make: () => Value): Value[] => Array.from({ length: count }, make);
  const runs = 400;

  for (const n of [4, 10, 50, 200]) {
    it(`holds its p-values and intervals at ${n} documents`, () => {
      for (const differing of [0.2, 0.8]) {
        const drawn = repeat(10 * runs, () => paired(n, random, differing / 2, differing / 2));
        isUniform(
          drawn.map(({ lost, won }) => mcnemar(lost, won)),
          `McNemar, n ${n}, ${differing}`,
          0.015,
        );
        isUniform(
          drawn.map((counts) => sequentialP(counts)),
          `sequential p, n ${n}, ${differing}`,
        );
      }
      for (const share of [0.1, 0.25, 0.5, 0.9]) {
        const hits = repeat(10 * runs, () => {
          const right = repeat(n, random).filter((u) => u < share).length;
          return isWithin(share, shareInterval(right, n));
        });
        // Wilson's interval, from 30 documents on, holds on the average of shares.
        covers(hits, `share ${share}, n ${n}`, n < 30 ? 0.95 : 0.93);
      }
      for (const [lost, won] of [
        [0.1, 0.1],
        [0.25, 0.1],
        [0.4, 0.4],
        [0.02, 0.3],
      ] as const) {
        const drawn = repeat(5 * runs, () => paired(n, random, lost, won));
        covers(
          drawn.map((counts) => isWithin(won - lost, changeInterval(counts))),
          `change of ${lost} and ${won}, n ${n}`,
          n < 30 ? 0.95 : 0.93,
        );
        covers(
          drawn.slice(0, runs).map((counts) => isWithin(won - lost, sequentialInterval(counts))),
          `sequential change of ${lost} and ${won}, n ${n}`,
        );
      }
      const means = repeat(runs, () => {
        const differences = repeat(n, () => gaussian(random) * (random() < 0.2 ? 3 : 1));
        return meanDifference(differences, { seed: Math.floor(random() * 2 ** 31), resamples: 999 });
      });
      isUniform(
        means.map(({ p }) => p),
        `margin, n ${n}`,
      );
      const told = means.flatMap(({ low, high }) => (low === null || high === null ? [] : [{ low, high }]));
      if (n === 4) assert.deepEqual([told, Math.min(...means.map(({ p }) => p))], [[], 0.125]);
      else
        covers(
          told.map((interval) => isWithin(0, interval)),
          `margin's interval, n ${n}`,
          n < 100 ? 0.95 : 0.94,
        );
    });
  }

  it("errs in at most 5 % of runs that look after every document and stop at the first finding", () => {
    let stopped = 0;
    const count = 1000;
    for (let run = 0; run < count; run++) {
      const counts = { lost: 0, won: 0, same: 0 };
      for (let document = 1; document <= 300; document++) {
        const u = random();
        counts[u < 0.2 ? "lost" : u < 0.4 ? "won" : "same"] += 1;
        if (document % 8 === 0 && sequentialP(counts) <= 0.05) {
          stopped += 1;
          break;
        }
      }
    }
    assert.ok(stopped / count <= 0.05 + 4 * Math.sqrt(0.0475 / count), `${stopped} of ${count} runs`);
  });

  it("finds a change of 20 points in fewer documents than there are, nearly always", () => {
    const found = repeat(200, () => {
      const counts = { lost: 0, won: 0, same: 0 };
      for (let document = 1; document <= 300; document++) {
        const u = random();
        counts[u < 0.3 ? "lost" : u < 0.4 ? "won" : "same"] += 1;
        if (document % 16 === 0 && sequentialInterval(counts).high < 0) return document;
      }
      return 300;
    });
    assert.ok(found.filter((documents) => documents < 300).length >= 190, `${found}`);
  });
});

describe("detectableDifference", () => {
  it("gives the design's table", () => {
    // In points, for 20, 30 and 40 % discordant documents:
    // 100 * (norm.ppf(.975) + norm.ppf(.8)) * sqrt(psi / n), scipy 1.17
    for (const [n, ...points] of [
      [100, 12.5, 15.3, 17.7],
      [200, 8.9, 10.9, 12.5],
      [1000, 4.0, 4.9, 5.6],
      [10_000, 1.3, 1.5, 1.8],
    ] as const) {
      for (const [index, expected] of points.entries()) {
        near(100 * detectableDifference((n * (index + 2)) / 10, n)!, expected, 0.05);
      }
    }
  });

  it("is a little above Connor's formula", () => {
    // Connor 1987: 0.45 against 0.05 discordant needs 23 pairs for a difference of 0.4 at 80 % power.
    const difference = detectableDifference(0.5 * 23, 23)!;
    assert.ok(difference > 0.4 && difference < 0.42, String(difference));
  });

  it("is unknown without discordant documents, and never above all documents", () => {
    assert.equal(detectableDifference(0, 200), null);
    assert.equal(detectableDifference(1, 1), 1);
  });
});

describe("holm", () => {
  it("agrees with statsmodels 0.15 and pingouin's example", () => {
    // [multipletests(p, method="holm")[1] for p in ([.01, .04, .03, .005], [.5, .003, .32, .054, .0003], [.02, .02, .9], [.6, .7])]
    for (const [given, expected] of [
      [
        [0.01, 0.04, 0.03, 0.005],
        [0.03, 0.06, 0.06, 0.02],
      ],
      [
        [0.5, 0.003, 0.32, 0.054, 0.0003],
        [0.64, 0.012, 0.64, 0.162, 0.0015],
      ],
      [
        [0.02, 0.02, 0.9],
        [0.06, 0.06, 0.9],
      ],
      [
        [0.6, 0.7],
        [1, 1],
      ],
      [[], []],
    ] as const) {
      const corrected = holm(given);
      assert.equal(corrected.length, expected.length);
      for (const [index, p] of corrected.entries()) near(p, expected[index]!, 1e-15);
    }
  });

  it("keeps the order, lowers nothing, and leaves a single test as it is", () => {
    const probability = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(probability, { minLength: 1, maxLength: 80 }), (given) => {
        const corrected = holm(given);
        for (const [index, p] of given.entries()) {
          assert.ok(p <= corrected[index]! && corrected[index]! <= Math.min(1, given.length * Math.max(...given)));
          for (const [other, q] of given.entries()) if (p <= q) assert.ok(corrected[index]! <= corrected[other]!);
        }
      }),
    );
    fc.assert(fc.property(probability, (p) => assert.deepEqual(holm([p]), [p])));
  });
});

/** Uniform numbers in (0, 1) from a seed (Marsaglia's xorshift). */
function xorshift(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
}

/** Box and Muller. */
function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}

/** Counts of n documents, each lost and won with these chances. */
function paired(n: number, random: () => number, lost: number, won: number) {
  const counts = { bothRight: 0, lost: 0, won: 0, bothWrong: 0, same: 0 };
  for (let document = 0; document < n; document++) {
    const u = random();
    const side = u < lost ? "lost" : u < lost + won ? "won" : random() < 0.5 ? "bothRight" : "bothWrong";
    counts[side] += 1;
    if (side === "bothRight" || side === "bothWrong") counts.same += 1;
  }
  return counts;
}

function isWithin(value: number, { low, high }: { readonly low: number; readonly high: number }): boolean {
  return low - 1e-9 <= value && value <= high + 1e-9;
}

function rightOf(most: number): fc.Arbitrary<{ right: number; n: number }> {
  return fc.integer({ min: 1, max: most }).chain((n) => fc.nat(n).map((right) => ({ right, n })));
}

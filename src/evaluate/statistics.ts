/**
 * How sure a share of right answers is, and what two models' answers to the same documents allow to conclude.
 *
 * By hand, since no library fits: simple-statistics 7.12 has neither Wilson's interval nor McNemar's test, and its normal
 * quantile is good to three digits; jstat 1.9's binomial distribution is NaN for 6,000 discordant documents; @stdlib's is
 * right, in 229 packages. The only special function needed is the binomial distribution at one half.
 */

/** Quantiles of the standard normal distribution: 0.975, for two-sided tests at 5 %, and 0.8, for a power of 80 %. */
const Z_TWO_SIDED_5_PERCENT = 1.959963984540054;
const Z_POWER_80_PERCENT = 0.8416212335729143;

/** Both ends belong to it. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Documents by whether the first model and the second got them right. */
export interface PairedCounts {
  readonly bothRight: number;
  /** Right by the first model alone. */
  readonly lost: number;
  /** Right by the second model alone. */
  readonly won: number;
  readonly bothWrong: number;
}

/** Below so many documents, or documents that only one model has right, the exact methods are used; see statistics.test.ts for how far each holds. */
const EXACT_SHARES_BELOW = 30;
const EXACT_MCNEMAR_BELOW = 25;

/** 95 % interval of a share of `right` among `n` ≥ 1 documents: exact with few documents, else Wilson's. Never leaves [0, 1]. */
export function shareInterval(right: number, n: number): Interval {
  return n < EXACT_SHARES_BELOW ? exactInterval(right, n, 0.05) : wilsonInterval(right, n);
}

/** Two-sided p that two models are equally often right: exact with few documents that only one of them has right, else mid-p. */
export function mcnemar(lost: number, won: number): number {
  return lost + won < EXACT_MCNEMAR_BELOW ? mcnemarExact(lost, won) : mcnemarMidP(lost, won);
}

/** 95 % interval of the second model's share of right answers less the first's, on the same documents: exact with few, else Newcombe's. */
export function changeInterval(counts: PairedCounts): Interval {
  const { bothRight, lost, won, bothWrong } = counts;
  const n = bothRight + lost + won + bothWrong;
  if (n >= EXACT_SHARES_BELOW) return newcombeInterval(counts);
  // Each of the two holds in 97.5 % of cases, so both at once in 95 %, however they depend on each other.
  const [ofLost, ofWon] = [exactInterval(lost, n, 0.025), exactInterval(won, n, 0.025)];
  return { low: ofWon.low - ofLost.high, high: ofWon.high - ofLost.low };
}

/**
 * Interval of a share that misses it in at most `alpha` of cases at any n. Clopper and Pearson, Biometrika 26 (1934) 404–413: the shares that
 * neither one-sided test at alpha / 2 refuses, found by halving.
 */
export function exactInterval(right: number, n: number, alpha: number): Interval {
  const solve = (isBelow: (share: number) => boolean) => {
    let [low, high] = [0, 1];
    for (let step = 0; step < 50; step++) {
      const middle = (low + high) / 2;
      if (isBelow(middle)) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  };
  return {
    low: right === 0 ? 0 : solve((share) => binomialTail(n - right, n, 1 - share) < alpha / 2),
    high: right === n ? 1 : solve((share) => binomialTail(right, n, share) > alpha / 2),
  };
}

/** Chance of at most `most` among n when each comes with chance `share`. */
function binomialTail(most: number, n: number, share: number): number {
  let term = (1 - share) ** n;
  let tail = term;
  for (let k = 1; k <= most; k++) {
    term *= ((n - k + 1) / k) * (share / (1 - share));
    tail += term;
  }
  return tail;
}

/**
 * 95 % interval of a share of `right` among `n` ≥ 1 documents. With fewer than 30 of them it misses more often than it says.
 *
 * Wilson's score interval, JASA 22 (1927) 209–212; recommended by Brown, Cai and DasGupta, Statistical Science 16
 * (2001) 101–133.
 */
export function wilsonInterval(right: number, n: number): Interval {
  const share = right / n;
  const z2 = Z_TWO_SIDED_5_PERCENT ** 2;
  const middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const half = (Z_TWO_SIDED_5_PERCENT * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n))) / (1 + z2 / n);
  // At the ends the formula gives 0 and 1 but for rounding.
  return { low: right === 0 ? 0 : middle - half, high: right === n ? 1 : middle + half };
}

/**
 * Two-sided p that two models are equally often right, from the documents that only one of them got right.
 *
 * McNemar's exact test with the mid-p correction: Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13
 * (2013) 91. Their rule would give 0.5 without such documents; nothing speaks against equality then, so it is 1.
 */
export function mcnemarMidP(lost: number, won: number): number {
  return binomialP(lost, won, 0.5);
}

/** The same without the correction: the chance of as uneven a split or more, which holds its level at any number of documents. */
export function mcnemarExact(lost: number, won: number): number {
  return lost === won ? 1 : binomialP(lost, won, 1);
}

/** The two-sided tail of the binomial distribution at one half, of the split that was observed a `share`. */
function binomialP(lost: number, won: number, share: 0.5 | 1): number {
  const n = lost + won;
  const fewer = Math.min(lost, won);
  if (n === 0) return 1;
  let logBinomial = 0;
  for (let k = 1; k <= fewer; k++) logBinomial += Math.log((n - fewer + k) / k);
  const observed = Math.exp(logBinomial - n * Math.LN2);
  if (lost === won) return 1 - observed / 2;
  let [tail, term] = [0, observed];
  // From the largest term down: P(k - 1) = P(k) · k / (n - k + 1).
  for (let k = fewer; k >= 0 && term > 0; k--) {
    tail += term;
    term *= k / (n - k + 1);
  }
  return Math.min(1, 2 * tail - 2 * (1 - share) * observed);
}

/**
 * 95 % interval of a change on the same documents. With fewer than 30 of them it misses more often than it says.
 *
 * Newcombe's square-and-add from two Wilson intervals, method 10 of Statistics in Medicine 17 (1998) 2635–2650.
 */
export function newcombeInterval({ bothRight, lost, won, bothWrong }: PairedCounts): Interval {
  const n = bothRight + lost + won + bothWrong;
  const [rightA, rightB] = [bothRight + lost, bothRight + won];
  const [a, b] = [rightA / n, rightB / n];
  const [ofA, ofB] = [wilsonInterval(rightA, n), wilsonInterval(rightB, n)];
  const correlation = newcombesCorrelation(bothRight * bothWrong - lost * won, n, rightA, rightB);
  const side = (fromA: number, fromB: number) =>
    Math.sqrt(Math.max(0, fromA ** 2 + fromB ** 2 - 2 * correlation * fromA * fromB));
  return { low: b - a - side(ofA.high - a, b - ofB.low), high: b - a + side(a - ofA.low, ofB.high - b) };
}

/** Phi coefficient of the two-by-two table with determinant `product`, drawn towards 0 where it is positive. */
function newcombesCorrelation(product: number, n: number, rightA: number, rightB: number): number {
  const margins = rightA * (n - rightA) * rightB * (n - rightB);
  if (margins === 0) return 0;
  return (product > 0 ? Math.max(0, product - n / 2) : product) / Math.sqrt(margins);
}

/**
 * The difference between two shares of right answers on the same `n` documents that a test at 5 % finds with a power of
 * 80 %, where `discordant` of them are right by one model alone; null without such documents, at most 1.
 *
 * (z₀.₉₇₅ + z₀.₈) √(ψ / n) with ψ = discordant / n, the paired case of Miller, arXiv:2411.00640. Connor's formula,
 * Biometrics 43 (1987) 207–211, subtracts the squared difference from ψ and comes out a little smaller.
 */
export function detectableDifference(discordant: number, n: number): number | null {
  if (discordant === 0) return null;
  return Math.min(1, ((Z_TWO_SIDED_5_PERCENT + Z_POWER_80_PERCENT) * Math.sqrt(discordant)) / n);
}

/**
 * The p-values of several tests, in the order given, corrected so that below 0.05 the chance of even one false alarm
 * among them all is at most 5 %, however the tests depend on one another. Holm, Scandinavian Journal of Statistics 6
 * (1979) 65–70.
 */
export function holm(pValues: readonly number[]): number[] {
  const corrected: number[] = [];
  let largest = 0;
  const order = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p);
  for (const [rank, { p, index }] of order.entries()) {
    largest = Math.max(largest, (pValues.length - rank) * p);
    corrected[index] = Math.min(1, largest);
  }
  return corrected;
}

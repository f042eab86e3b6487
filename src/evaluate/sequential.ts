/** What may be concluded from paired answers at any time, also when one looks after each document and stops at will. */
import type { Interval, PairedCounts } from "./statistics.ts";

type Counts = Pick<PairedCounts, "lost" | "won"> & { readonly same: number };

/** Shares of the largest bet, in the middle of 64 equal parts. */
const BETS = Array.from({ length: 64 }, (_, index) => (index + 0.5) / 64);

/**
 * 95 % confidence sequence of the mean change of right answers, the second model's less the first's: whenever one stops, and for whatever
 * reason, it misses the true change in at most 5 % of runs. Documents must come in random order.
 *
 * A bet on each document that the change is larger (or smaller) than `change` cannot gain on average where it is not, so capital of 40 speaks
 * against it at 2.5 % (Ville's inequality: Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 (2021) 1055–1080, arXiv:1810.08240).
 * Bets of all sizes at once, as the best is not known: Waudby-Smith and Ramdas, JRSS B 86 (2024) 1–27, arXiv:2010.09686. At a change of
 * 0 this is the mixture of binomial tests of Howard et al., section 3.
 */
export function sequentialInterval(counts: Counts): Interval {
  const swapped = { ...counts, lost: counts.won, won: counts.lost };
  const low = lowest(counts);
  return { low, high: -lowest(swapped) };
}

/** Two-sided p that the mean change is 0, which holds whenever one stops. */
export function sequentialP(counts: Counts): number {
  const swapped = { ...counts, lost: counts.won, won: counts.lost };
  return Math.min(1, 2 * Math.exp(-Math.max(logCapital(counts, 0), logCapital(swapped, 0))));
}

/** The least change that the bets on a larger one do not refuse. Their capital falls as `change` grows. */
function lowest(counts: Counts): number {
  const limit = Math.log(40);
  let [low, high] = [-1, 1];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (logCapital(counts, middle) >= limit) low = middle;
    else high = middle;
  }
  return low;
}

/** Logarithm of the mean capital of bets that the change is larger than `change`, each with the same share of the most that it can lose. */
function logCapital({ lost, won, same }: Counts, change: number): number {
  const gain = (difference: number, bet: number) => Math.log1p((bet * (difference - change)) / (1 + change));
  const logs = BETS.map((bet) => won * gain(1, bet) + same * gain(0, bet) + lost * gain(-1, bet));
  const largest = Math.max(...logs);
  return largest + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - largest), 0) / BETS.length);
}

/** Means and their errors in lm-eval's own order of arithmetic, so that printed digits agree. */
import type { Score } from "./output-type.ts";

/** The metrics of a task over its samples: means of 1 and 0. */
export function means<Metric extends string>(
  { metrics }: { readonly metrics: readonly Metric[] },
  samples: readonly { readonly metrics: Readonly<Partial<Record<Metric, number>>> }[],
): Partial<Record<Metric, Score>> {
  const scores: Partial<Record<Metric, Score>> = {};
  for (const metric of metrics) {
    const values = samples.map((sample) => sample.metrics[metric]!);
    scores[metric] = { value: sum(values) / values.length, stderr: standardError(values) };
  }
  return scores;
}

/** Standard error of the mean: the sample's standard deviation (n − 1) over √n; null below two values. */
export function standardError(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const average = sum(values) / values.length;
  const variance = sum(values.map((value) => (value - average) * (value - average))) / (values.length - 1);
  return Math.sqrt(variance) / Math.sqrt(values.length);
}

/** From left to right, as Python before 3.12; the last digit depends on it. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** lm-eval's metrics, in its own order of arithmetic, so that printed digits agree. */
import type { Loglikelihood } from "../model/language-model.ts";
import { length } from "../python/text.ts";
import { tasksOf } from "../tasks/find-tasks.ts";
import type { ChoiceTask, GenerationTask, Metric, Row, TaskGroup } from "../tasks/task.ts";
import type { ChoiceSample, GroupEvaluation, Metrics, RollingSample, TaskEvaluation } from "./evaluation.ts";

/** 1 or 0 for each of the task's metrics, from the answers to a document's requests. */
export function documentMetrics(
  task: ChoiceTask,
  doc: Row,
  answers: readonly Loglikelihood[],
): ChoiceSample["metrics"] {
  const target = task.docToTarget(doc);
  const choices = task.docToChoice(doc);
  const sums = answers.map(({ sum }) => sum);
  const chosen: Partial<Record<Metric, number>> = {
    acc: firstMaximum(sums),
    // By characters of the choice without the space before it, and not by bytes, as lm-eval's documents have it.
    acc_norm: firstMaximum(sums.map((sum, index) => sum / length(choices[index]!))),
  };
  return Object.fromEntries(task.metrics.map((metric) => [metric, chosen[metric] === target ? 1 : 0]));
}

/** Index of the first largest value; NaN counts as the largest, as in numpy's argmax. */
export function firstMaximum(values: readonly number[]): number {
  const nan = values.findIndex(Number.isNaN);
  return nan >= 0 ? nan : values.indexOf(Math.max(...values));
}

/** A task's metrics over its samples: means. */
export function taskMetrics(
  task: ChoiceTask | GenerationTask,
  samples: readonly Pick<ChoiceSample, "metrics">[],
): Metrics {
  return Object.fromEntries(
    task.metrics.map((metric) => {
      const values = samples.map((sample) => sample.metrics[metric]!);
      return [metric, { value: mean(values), stderr: standardError(values) }];
    }),
  );
}

/**
 * Perplexity by words and by bytes, and bits a byte: the log-likelihood of all texts together, shared out over all their words or
 * bytes. lm-eval gives no standard error.
 */
export function perplexityMetrics(samples: readonly RollingSample[]): Metrics {
  const total = sum(samples.map(({ loglikelihood }) => loglikelihood));
  const perWord = total / sum(samples.map(({ words }) => words));
  const perByte = total / sum(samples.map(({ bytes }) => bytes));
  return {
    word_perplexity: { value: Math.exp(-perWord), stderr: null },
    byte_perplexity: { value: Math.exp(-perByte), stderr: null },
    bits_per_byte: { value: -perByte / Math.log(2), stderr: null },
  };
}

/** The groups' metrics over those of their tasks that were evaluated: means weighted by size, pooled standard errors. */
export function groupEvaluations(
  groups: readonly TaskGroup[],
  evaluated: readonly TaskEvaluation[],
): readonly GroupEvaluation[] {
  return groups.map((group) => groupEvaluation(group, evaluated));
}

function groupEvaluation(group: TaskGroup, evaluated: readonly TaskEvaluation[]): GroupEvaluation {
  const members = tasksOf(group).flatMap(({ task }) => evaluated.filter((candidate) => candidate.task.task === task));
  const sizes = members.map(({ samples }) => samples.length);
  const metrics = Object.fromEntries(
    group.metrics.map((metric) => {
      const scores = members.map((member) => member.metrics[metric]!);
      const value = sum(scores.map((score, index) => score.value * sizes[index]!)) / sum(sizes);
      return [
        metric,
        {
          value,
          stderr: pooledStandardError(
            scores.map(({ stderr }) => stderr),
            sizes,
          ),
        },
      ];
    }),
  );
  return { group, tasks: members.map(({ task }) => task.task), sampleCount: sum(sizes), metrics };
}

/** Standard error of the mean: the sample's standard deviation (n − 1) over √n; null below two values. */
export function standardError(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const average = mean(values);
  const variance = sum(values.map((value) => (value - average) * (value - average))) / (values.length - 1);
  return Math.sqrt(variance) / Math.sqrt(values.length);
}

/** lm-eval's standard error of a mean weighted by size; null where a member has none. */
export function pooledStandardError(stderrs: readonly (number | null)[], sizes: readonly number[]): number | null {
  const parts = stderrs.map((stderr, index) => {
    const size = sizes[index]!;
    return stderr === null ? null : (size - 1) * (stderr * stderr) * size;
  });
  if (parts.length === 0 || parts.includes(null)) return null;
  const variance = sum(parts as number[]) / (sum(sizes) - sizes.length);
  return Math.sqrt(variance / sum(sizes));
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

/** From left to right, as Python before 3.12; the last digit depends on it. */
function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

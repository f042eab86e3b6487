/** What scoring a model gives: every document with its answers, and the metrics of tasks and groups. */
import type { DataSource } from "../datasets/source.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { ExampleSource } from "../tasks/examples.ts";
import { type TaskGroup, tasksOf } from "../tasks/find-tasks.ts";
import { sum } from "../tasks/output-types/metrics.ts";
import type { Metrics, OutputTypeName, SampleOf, TaskOf } from "../tasks/output-types/output-types.ts";

/** One model scored on some tasks. */
export interface Evaluation {
  readonly model: Pick<LanguageModel, "name" | "digest" | "device" | "parameterCount" | "maxLength" | "specialTokens">;
  /** As given: from 1 on the first so many documents, below 1 that share of them; null is all. */
  readonly limit: number | null;
  /** Where documents were drawn at random. */
  readonly sampled?: { readonly count: number; readonly seed: number };
  /** What was put around the documents; absent where nothing was. */
  readonly prompting?: {
    readonly systemInstruction?: string;
    /** The template's text, and whether examples were turns of their own. */
    readonly chatTemplate?: string;
    readonly fewshotAsMultiturn?: boolean;
  };
  readonly startedAt: Date;
  /** Wall time of the whole evaluation. */
  readonly seconds: number;
  /** Answers that came from an earlier run of the same weights. */
  readonly reusedAnswers: number;
  readonly tasks: readonly TaskEvaluation[];
  readonly groups: readonly GroupEvaluation[];
}

/** One task's documents and metrics. Samples are in the order of the split. */
export type TaskEvaluation = { [Name in OutputTypeName]: EvaluationOf<Name> }[OutputTypeName];

export interface EvaluationOf<Name extends OutputTypeName> {
  readonly outputType: Name;
  readonly task: TaskOf<Name>;
  readonly samples: readonly SampleOf<Name>[];
  readonly source: DataSource;
  /** Documents in the split, before the limit. */
  readonly originalCount: number;
  readonly fewshotCount: number;
  /** Under `until: "decided"`. */
  readonly decision?: Decision;
  /** The examples' source; absent without any. */
  readonly examples?: ExampleSource;
  readonly metrics: Metrics;
}

/** What a look after every few documents found, and what it saved. */
export interface Decision {
  /** The model that this one is held against, and the documents that both were to be asked. */
  readonly against: string;
  readonly limit: number;
  /** Documents of these that were not asked any more. */
  readonly saved: number;
  /** Change of the share of right answers on those asked, this model's less the other's, and its 95 % confidence sequence. */
  readonly change: number;
  readonly low: number;
  readonly high: number;
  readonly verdict: "loss" | "gain" | "open";
}

export type ChoiceEvaluation = EvaluationOf<"multiple_choice">;

/** A group of tasks, scored as one. Contains only the tasks that were evaluated. */
export interface GroupEvaluation {
  readonly group: TaskGroup;
  /** Names of the tasks below it, through inner groups. */
  readonly tasks: readonly string[];
  /** Documents over all its tasks. */
  readonly sampleCount: number;
  readonly metrics: Metrics;
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

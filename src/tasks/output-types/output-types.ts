/** All output types by lm-eval's names, and what follows from the list: the types of tasks, samples and metrics. */
import { atPlace, isRow } from "../../datasets/fields.ts";
import type { PlacedRow, Row } from "../../datasets/source.ts";
import { PrunelabError } from "../../errors.ts";
import type { BaseTask } from "../task.ts";
import { type GenerationSample, type GenerationTask, generateUntil } from "./generate-until.ts";
import { loglikelihoodRolling, type RollingSample, type RollingTask } from "./loglikelihood-rolling.ts";
import { type ChoiceSample, type ChoiceTask, multipleChoice } from "./multiple-choice.ts";
import type { Aggregation, BaseSample, OutputType, Score } from "./output-type.ts";

/** A new one is a literal in a file of its own, and a line here and in the list. */
interface Known {
  readonly multiple_choice: { readonly task: ChoiceTask; readonly sample: ChoiceSample };
  readonly generate_until: { readonly task: GenerationTask; readonly sample: GenerationSample };
  readonly loglikelihood_rolling: { readonly task: RollingTask; readonly sample: RollingSample };
}

const outputTypes: { readonly [Name in OutputTypeName]: OutputType<TaskOf<Name>, SampleOf<Name>, unknown, unknown> } = {
  multiple_choice: multipleChoice,
  generate_until: generateUntil,
  loglikelihood_rolling: loglikelihoodRolling,
};

export type OutputTypeName = keyof Known;

/** The tasks of an output type. */
export type TaskOf<Name extends OutputTypeName> = Known[Name]["task"];

/** The samples of an output type. */
export type SampleOf<Name extends OutputTypeName> = Known[Name]["sample"];

/** A benchmark of one of lm-eval's output types. */
export type Task = TaskOf<OutputTypeName>;

/** What is measured. */
export type Metric = Task["metrics"][number];

export type Metrics = Readonly<Partial<Record<Metric, Score>>>;

/** Any output type, with the types of its parts forgotten: they fit each other since they come from one literal. */
export type AnyOutputType = OutputType<BaseTask, BaseSample, unknown, unknown>;

/**
 * How a task's documents are asked and rated.
 *
 * @throws PrunelabError if the task's output type is unknown.
 */
export function outputTypeOf({ outputType, task }: Pick<Task, "outputType" | "task">): AnyOutputType {
  const found = Object.hasOwn(outputTypes, outputType) ? outputTypes[outputType] : undefined;
  if (found) return found as unknown as AnyOutputType;
  throw new PrunelabError(
    `unknown output type: ${outputType} of ${task}; choose one of ${Object.keys(outputTypes).join(", ")}`,
  );
}

/** How documents' values of a metric become one. */
export function aggregationOf(task: Pick<Task, "outputType" | "task">, metric: string): Aggregation {
  return (outputTypeOf(task).metrics as Readonly<Record<string, Aggregation>>)[metric]!;
}

/**
 * The document that a task makes of a row.
 *
 * @throws PrunelabError with the row's place if it is malformed, or the document cannot be asked or rated.
 */
export function readDoc(task: Task, { row, place }: PlacedRow): Row {
  return atPlace(place, () => {
    const doc: unknown = task.processDoc(row);
    if (!isRow(doc)) throw new PrunelabError(`the document must be an object: ${doc}; correct processDoc`);
    outputTypeOf(task).check(task, doc);
    return doc;
  });
}

/** Two evaluations task by task, and the proof that both models were asked the same. */
import { PrunelabError } from "../errors.ts";
import type { ChoiceSample, ChoiceTask } from "../tasks/output-types/multiple-choice.ts";
import type { ChoiceEvaluation, Evaluation } from "./evaluation.ts";

/** One task's documents as two models answered them, in the same order. */
export interface TaskPair {
  readonly task: ChoiceTask;
  readonly a: readonly ChoiceSample[];
  readonly b: readonly ChoiceSample[];
  /** The documents are the package's made-up ones. */
  readonly isDemo: boolean;
}

/**
 * The multiple-choice tasks of two evaluations in the order of the first; other tasks are left out.
 *
 * @throws PrunelabError where a task is missing in one, has no documents, or was asked otherwise: other documents, prompts
 * or choices, or another right answer.
 */
export function pairTasks(a: Evaluation, b: Evaluation): TaskPair[] {
  refuseMissing(a, b);
  refuseMissing(b, a);
  const tasks = choiceTasks(a);
  if (tasks.length === 0) {
    throw new PrunelabError("cannot compare evaluations without tasks of multiple choice; evaluate some first");
  }
  return tasks.map((ofA) => {
    const name = ofA.task.task;
    const ofB = choiceTasks(b).find(({ task }) => task.task === name)!;
    refuseDifferences(name, ofA, ofB);
    return {
      task: ofA.task,
      a: ofA.samples,
      b: ofB.samples,
      isDemo: ofA.source.kind === "demo" || ofB.source.kind === "demo",
    };
  });
}

function choiceTasks({ tasks }: Evaluation): ChoiceEvaluation[] {
  return tasks.filter((task) => task.outputType === "multiple_choice");
}

function refuseMissing(from: Evaluation, within: Evaluation): void {
  const known = new Set(choiceTasks(within).map(({ task }) => task.task));
  const missing = choiceTasks(from)
    .map(({ task }) => task.task)
    .filter((name) => !known.has(name));
  if (missing.length === 0) return;
  throw new PrunelabError(
    `cannot compare evaluations of different tasks: ${missing.join(", ")} only for ${from.model.name}, not for ${within.model.name}; evaluate both on the same`,
  );
}

function refuseDifferences(name: string, { samples: a }: ChoiceEvaluation, { samples: b }: ChoiceEvaluation): void {
  const advice = "evaluate both on the same documents, with the same limit and shots";
  if (a.length === 0 || a.length !== b.length) {
    throw new PrunelabError(`cannot compare ${name}: ${a.length} and ${b.length} documents; ${advice}`);
  }
  const differing = a.findIndex((sample, index) => !isSameQuestion(sample, b[index]!));
  if (differing < 0) return;
  throw new PrunelabError(`cannot compare ${name}: document ${a[differing]!.docId} was not the same; ${advice}`);
}

/** The requests hold all of a document that reaches a model; ids and unused fields may differ between data sources. */
function isSameQuestion(a: ChoiceSample, b: ChoiceSample): boolean {
  return (
    a.target === b.target &&
    a.requests.length === b.requests.length &&
    a.requests.every(
      ({ context, continuation }, index) =>
        context === b.requests[index]!.context && continuation === b.requests[index]!.continuation,
    )
  );
}

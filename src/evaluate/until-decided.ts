/** Scores a task only until it is decided which of two models is right more often. */
import { PrunelabError } from "../errors.ts";
import { pythonRandom } from "../python/random.ts";
import type { ChoiceSample } from "../tasks/output-types/multiple-choice.ts";
import type { BaseSample } from "../tasks/output-types/output-type.ts";
import { refuseDifferences } from "./compare.ts";
import { takenChoice } from "./comparison-row.ts";
import type { Questions } from "./evaluate.ts";
import type { Decision, Evaluation } from "./evaluation.ts";
import { sequentialInterval } from "./sequential.ts";

/** Documents between two looks: as many as fill a batch, so that looking costs nothing. */
const DOCUMENTS_PER_LOOK = 16;

/** The other model's answers to a task, and the order in which documents are asked. */
export interface Opponent {
  readonly name: string;
  readonly samples: readonly ChoiceSample[];
  /** Places of the documents. The confidence sequence needs a random order: a set's own may go from easy to hard. */
  readonly order: readonly number[];
}

/**
 * The other model's answers to the documents of a task; undefined unless it is of multiple choice.
 *
 * @throws PrunelabError if the other model was not asked the same.
 */
export function opponentOf(
  { task, documents, requests }: Questions,
  against: Evaluation,
  seed: number,
): Opponent | undefined {
  if (task.outputType !== "multiple_choice") return undefined;
  const other = against.tasks.find((candidate) => candidate.task.task === task.task);
  if (other?.outputType !== "multiple_choice") {
    throw new PrunelabError(
      `cannot decide ${task.task}: ${against.model.name} was not scored on it; evaluate it on the same tasks first`,
    );
  }
  if (other.decision) {
    throw new PrunelabError(
      `cannot decide ${task.task} against ${against.model.name}, which was itself stopped early; evaluate it whole first`,
    );
  }
  const questions = documents.docs.map((doc, place) => ({
    docId: documents.docIds[place]!,
    target: task.docToTarget(doc),
    requests: requests[place] as ChoiceSample["requests"],
  }));
  refuseDifferences(task.task, other.samples, questions);
  const count = questions.length;
  return { name: against.model.name, samples: other.samples, order: pythonRandom(seed).sample(count, count) };
}

/** Asks documents until the change is decided or none is left; the samples are in the order of the split. */
export async function askUntilDecided(
  { name, samples: others, order }: Opponent,
  ask: (places: readonly number[]) => Promise<BaseSample[]>,
): Promise<{ samples: ChoiceSample[]; decision: Decision }> {
  const asked: { place: number; sample: ChoiceSample }[] = [];
  let [lost, won] = [0, 0];
  let [low, high] = [-1, 1];
  while (asked.length < order.length && low <= 0 && high >= 0) {
    const places = order.slice(asked.length, asked.length + DOCUMENTS_PER_LOOK);
    const samples = (await ask(places)) as ChoiceSample[];
    for (const [index, sample] of samples.entries()) {
      const place = places[index]!;
      const [before, after] = [isRight(others[place]!), isRight(sample)];
      if (before && !after) lost += 1;
      if (after && !before) won += 1;
      asked.push({ place, sample });
    }
    ({ low, high } = sequentialInterval({ lost, won, same: asked.length - lost - won }));
  }
  const verdict = low > 0 ? "gain" : high < 0 ? "loss" : "open";
  const change = (won - lost) / asked.length;
  const saved = order.length - asked.length;
  return {
    samples: asked.sort((a, b) => a.place - b.place).map(({ sample }) => sample),
    decision: { against: name, limit: order.length, saved, change, low, high, verdict },
  };
}

function isRight(sample: ChoiceSample): boolean {
  return takenChoice(sample) === sample.target;
}

/** A row as a task's document, checked before anything is asked of a model. */
import { atPlace } from "../datasets/fields.ts";
import type { PlacedRow, Row } from "../datasets/source.ts";
import { PrunelabError } from "../errors.ts";
import type { ChoiceTask, Task } from "./task.ts";

/**
 * The document that the task makes of a row.
 *
 * @throws PrunelabError with the row's place where it is malformed, has no choices, or no choice that is the right one.
 */
export function readDoc(task: Task, { row, place }: PlacedRow): Row {
  return atPlace(place, () => {
    const doc = task.processDoc(row);
    if (task.outputType === "multiple_choice") checkChoices(task, doc);
    return doc;
  });
}

function checkChoices(task: ChoiceTask, doc: Row): void {
  const { length } = task.docToChoice(doc);
  const target = task.docToTarget(doc);
  if (!(Number.isInteger(target) && target >= 0 && target < length)) {
    throw new PrunelabError(
      `right choice out of range: ${target} of ${length} choices, counted from 0; correct the row or docToTarget`,
    );
  }
  const text: unknown = task.docToText(doc);
  if (typeof text !== "string" && !Array.isArray(text)) {
    throw new PrunelabError(`no context: ${text}; correct the row or docToText, which gives a text or a list of texts`);
  }
  if (typeof text !== "string" && text.length !== length) {
    throw new PrunelabError(`${text.length} contexts for ${length} choices; give one context, or one for each choice`);
  }
}

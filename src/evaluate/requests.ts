/** What a document asks of a model. */
import type { LoglikelihoodRequest } from "../model/language-model.ts";
import type { Row, Task } from "../tasks/task.ts";

/**
 * One request for each choice: the prefix and the document's context, then a space and the choice.
 *
 * @param prefix What stands before every document of the task; without examples that is the task's description.
 */
export function buildRequests(task: Task, doc: Row, prefix: string = task.description ?? ""): LoglikelihoodRequest[] {
  const text = task.docToText(doc);
  return task.docToChoice(doc).map((choice, index) => ({
    context: prefix + (typeof text === "string" ? text : text[index]),
    continuation: ` ${choice}`,
  }));
}

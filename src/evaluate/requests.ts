/** What a document asks of a model, in lm-eval's words to the letter (0.4.13: `ConfigurableTask.fewshot_context`, `construct_requests`). */
import type { GenerationRequest, LoglikelihoodRequest } from "../model/language-model.ts";
import type { ChoiceTask, GenerationTask, Row } from "../tasks/task.ts";

const TARGET_DELIMITER = " ";
const FEWSHOT_DELIMITER = "\n\n";

/** What stands before the question. */
export interface PromptOptions {
  /** Solved documents, as drawn. */
  readonly examples?: readonly Row[];
}

/** One request for each choice: description, examples and the document's context, then a space and the choice. */
export function buildRequests(task: ChoiceTask, doc: Row, options: PromptOptions = {}): LoglikelihoodRequest[] {
  const before = beginning(task, options);
  const text = task.docToText(doc);
  return task.docToChoice(doc).map((choice, index) => ({
    context: before + (typeof text === "string" ? text : text[index]),
    continuation: TARGET_DELIMITER + choice,
  }));
}

/** Description, examples and the document's context, to be continued. */
export function buildGenerationRequest(task: GenerationTask, doc: Row, options: PromptOptions = {}): GenerationRequest {
  return { context: beginning(task, options) + task.docToText(doc), until: task.until };
}

function beginning(task: ChoiceTask | GenerationTask, { examples = [] }: PromptOptions): string {
  return (task.description ?? "") + examples.map((example) => solved(task, example)).join("");
}

/** A document with its right answer. */
function solved(task: ChoiceTask | GenerationTask, doc: Row): string {
  if (task.outputType === "generate_until") {
    return task.docToText(doc) + TARGET_DELIMITER + task.docToTarget(doc)[0] + FEWSHOT_DELIMITER;
  }
  const target = task.docToTarget(doc);
  const text = task.docToText(doc);
  const answer = task.docToChoice(doc)[target]!;
  // With contexts for choices the answer is what lm-eval calls the target, and it leaves an empty target out, spaces and all.
  if (typeof text !== "string" && answer === "") return text[target]!;
  return (typeof text === "string" ? text : text[target]!) + TARGET_DELIMITER + answer + FEWSHOT_DELIMITER;
}

/** What a document asks of a model, in lm-eval's words to the letter (0.4.13: `ConfigurableTask.fewshot_context`, `construct_requests`). */
import type { ChatMessage, GenerationRequest, LoglikelihoodRequest } from "../model/language-model.ts";
import { isSpace } from "../python/text.ts";
import type { ChoiceTask, GenerationTask, Row } from "../tasks/task.ts";

const TARGET_DELIMITER = " ";
const FEWSHOT_DELIMITER = "\n\n";

/** What stands before the question, and how it is put. */
export interface PromptOptions {
  /** Solved documents, as drawn. */
  readonly examples?: readonly Row[];
  readonly systemInstruction?: string;
  /** Puts the prompt as a chat; as plain text unless given. */
  readonly chat?: Chat;
}

/** A model's chat template, and whether examples are turns of their own or part of the one question. */
export interface Chat {
  readonly render: (messages: readonly ChatMessage[]) => string;
  readonly multiturn: boolean;
}

/** A part of a prompt. The delimiter follows it in plain text. */
interface Part extends ChatMessage {
  readonly delimiter: string;
}

/**
 * One request for each choice: description, examples and the document's context, then a space and the choice. After a chat
 * template there is no space.
 */
export function buildRequests(task: ChoiceTask, doc: Row, options: PromptOptions = {}): LoglikelihoodRequest[] {
  const before = beginning(task, options);
  const text = task.docToText(doc);
  const context = (question: string) => rendered(before, question, options.chat);
  const shared = typeof text === "string" ? context(text) : undefined;
  return task.docToChoice(doc).map((choice, index) => ({
    context: shared ?? context(text[index]!),
    continuation: (options.chat ? "" : TARGET_DELIMITER) + choice,
  }));
}

/** Description, examples and the document's context, to be continued. */
export function buildGenerationRequest(task: GenerationTask, doc: Row, options: PromptOptions = {}): GenerationRequest {
  return { context: rendered(beginning(task, options), task.docToText(doc), options.chat), until: task.until };
}

function rendered(before: readonly Part[], question: string, chat: Chat | undefined): string {
  const user = { role: "user" as const, content: question };
  if (!chat) return textOf(before) + question;
  const messages = before.map(({ role, content }) => ({ role, content }));
  if (chat.multiturn) return chat.render([...messages, user]);
  const system = messages.filter(({ role }) => role === "system");
  return chat.render([...system, { ...user, content: textOf(before.slice(system.length)) + question }]);
}

function textOf(parts: readonly Part[]): string {
  return parts.map(({ content, delimiter }) => content + delimiter).join("");
}

function beginning(
  task: ChoiceTask | GenerationTask,
  { examples = [], systemInstruction = "" }: PromptOptions,
): readonly Part[] {
  const system = delimited(systemInstruction, task.description ?? "");
  const parts = examples.flatMap((example) => solved(task, example));
  return system === "" ? parts : [{ role: "system", content: system, delimiter: "" }, ...parts];
}

/** Instruction and description, with a blank line between unless one of them has white space there. */
function delimited(instruction: string, description: string): string {
  const isJoint = instruction === "" || description === "" || isSpace(instruction.at(-1)!) || isSpace(description[0]!);
  return instruction + (isJoint ? "" : FEWSHOT_DELIMITER) + description;
}

/** A document with its right answer. */
function solved(task: ChoiceTask | GenerationTask, doc: Row): readonly Part[] {
  const turn = (question: string, answer: string): readonly Part[] => [
    { role: "user", content: question, delimiter: TARGET_DELIMITER },
    { role: "assistant", content: answer, delimiter: FEWSHOT_DELIMITER },
  ];
  if (task.outputType === "generate_until") return turn(task.docToText(doc), task.docToTarget(doc)[0]!);
  const target = task.docToTarget(doc);
  const text = task.docToText(doc);
  const answer = task.docToChoice(doc)[target]!;
  if (typeof text === "string") return turn(text, answer);
  // With contexts for choices the answer is what lm-eval calls the target, and it leaves an empty target out, spaces and all.
  return answer === "" ? [{ role: "user", content: text[target]!, delimiter: "" }] : turn(text[target]!, answer);
}

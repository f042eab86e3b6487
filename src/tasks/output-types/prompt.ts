/** What stands before and around a question, in lm-eval's words to the letter (0.4.13: `ConfigurableTask.fewshot_context`). */
import type { Row } from "../../datasets/source.ts";
import type { ChatMessage } from "../../model/language-model.ts";
import { isSpace } from "../../python/text.ts";
import type { BaseTask } from "../task.ts";

export const TARGET_DELIMITER = " ";
export const FEWSHOT_DELIMITER = "\n\n";

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
export interface Part extends ChatMessage {
  readonly delimiter: string;
}

/** A question and its right answer, as an example. */
export function turn(question: string, answer: string): readonly Part[] {
  return [
    { role: "user", content: question, delimiter: TARGET_DELIMITER },
    { role: "assistant", content: answer, delimiter: FEWSHOT_DELIMITER },
  ];
}

/** Puts questions of a task after its description and examples. */
export function prompter<Task extends BaseTask>(
  task: Task,
  solved: (task: Task, doc: Row) => readonly Part[],
  { examples = [], systemInstruction = "", chat }: PromptOptions,
): (question: string) => string {
  const system = delimited(systemInstruction, task.description ?? "");
  const parts = examples.flatMap((example) => solved(task, example));
  const before = system === "" ? parts : [{ role: "system" as const, content: system, delimiter: "" }, ...parts];
  return (question) => rendered(before, question, chat);
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

/** Instruction and description, with a blank line between unless one of them has white space there. */
function delimited(instruction: string, description: string): string {
  const isJoint = instruction === "" || description === "" || isSpace(instruction.at(-1)!) || isSpace(description[0]!);
  return instruction + (isJoint ? "" : FEWSHOT_DELIMITER) + description;
}

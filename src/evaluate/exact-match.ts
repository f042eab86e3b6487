/** Whether a text that a model wrote is one of the right ones. */
import { strip } from "../python/text.ts";
import type { GenerationTask } from "../tasks/task.ts";

// Python's string.punctuation.
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** The text after the task's filter. */
export function filterAnswer({ filter }: GenerationTask, answer: string): string {
  return filter === "remove_whitespace" ? strip(answer) : answer;
}

/** lm-eval's `exact_match`: 1 where the text equals a target, case and punctuation left aside as the task says, else 0. */
export function exactMatch({ matching }: GenerationTask, answer: string, targets: readonly string[]): number {
  const plain = (text: string) => {
    const lower = matching.ignore_case ? text.toLowerCase() : text;
    return matching.ignore_punctuation ? lower.replace(PUNCTUATION, "") : lower;
  };
  return targets.some((target) => plain(target) === plain(answer)) ? 1 : 0;
}

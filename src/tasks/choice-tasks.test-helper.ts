/** Tasks of multiple choice, for tests. */
import { findTasks } from "./find-tasks.ts";
import type { ChoiceTask } from "./output-types/multiple-choice.ts";

/** The tasks of some names, all of multiple choice. */
export function choiceTasks(names: readonly string[]): ChoiceTask[] {
  return findTasks(names).tasks.map((task) => {
    if (task.outputType !== "multiple_choice") throw new TypeError(`not of multiple choice: ${task.task}`);
    return task;
  });
}

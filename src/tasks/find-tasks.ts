/** All benchmarks by name, alone and in groups. */
import { PrunelabError } from "../errors.ts";
import { arcChallenge, arcEasy } from "./arc.ts";
import { boolq } from "./boolq.ts";
import { hellaswag } from "./hellaswag.ts";
import { mmluGroups, mmluTasks } from "./mmlu.ts";
import type { Metric, Task } from "./output-types/output-types.ts";
import { piqa } from "./piqa.ts";
import { triviaqa } from "./triviaqa.ts";
import { wikitext } from "./wikitext.ts";
import { winogrande } from "./winogrande.ts";

/** Tasks whose scores are also given as one: the mean weighted by size, with a pooled standard error. */
export interface TaskGroup {
  readonly group: string;
  /** The group's name as people write it, e.g. "MMLU"; `group` unless given. */
  readonly label?: string;
  /** What its tasks are called; "tasks" unless given. */
  readonly memberName?: string;
  readonly group_alias?: string;
  readonly version: number;
  /** Names of tasks or of further groups. */
  readonly members: readonly string[];
  readonly metrics: readonly Metric[];
}

/** Every task there is, in the order in which lists show them. */
export const allTasks: readonly Task[] = [
  hellaswag,
  ...mmluTasks,
  boolq,
  piqa,
  arcEasy,
  arcChallenge,
  winogrande,
  triviaqa,
  wikitext,
];

/** Every group of tasks. */
export const allGroups: readonly TaskGroup[] = mmluGroups;

/** Tasks to score, each once, in the order named, and the groups to sum them up by, outer ones first. */
export interface FoundTasks {
  readonly tasks: readonly Task[];
  readonly groups: readonly TaskGroup[];
}

/**
 * The tasks of some names, where a group's name stands for all its tasks, and tasks of the user's own.
 *
 * @throws PrunelabError if a name is unknown, with the names nearest to it, or where two tasks have one name.
 */
export function findTasks(names: readonly (string | Task)[]): FoundTasks {
  if (names.length === 0) throw new PrunelabError("no task named; name one, such as hellaswag");
  const tasks = new Set<Task>();
  const groups = new Set<TaskGroup>();
  const add = (name: string | Task): void => {
    if (typeof name !== "string") {
      if ([...allTasks, ...tasks].some((other) => other !== name && other.task === name.task)) {
        throw new PrunelabError(`two tasks of one name: ${name.task}; give your own another`);
      }
      tasks.add(name);
      return;
    }
    const task = allTasks.find((candidate) => candidate.task === name);
    const group = allGroups.find((candidate) => candidate.group === name);
    if (task) tasks.add(task);
    else if (group) {
      groups.add(group);
      group.members.forEach(add);
    } else throw new PrunelabError(`unknown task: ${name}; nearest: ${nearest(name).join(", ")}`);
  };
  names.forEach(add);
  return { tasks: [...tasks], groups: [...groups] };
}

/** The tasks below a group, through inner groups. */
export function tasksOf(group: TaskGroup): readonly Task[] {
  return findTasks(group.members).tasks;
}

/** A task's or group's name as people write it, e.g. "MMLU formal logic"; an unknown name as it is. */
export function labelOf(name: string): string {
  const known = allTasks.find(({ task }) => task === name) ?? allGroups.find(({ group }) => group === name);
  return known?.label ?? name;
}

/** What the tasks of a group are called, e.g. "subjects". */
export function memberNameOf(name: string): string {
  return allGroups.find(({ group }) => group === name)?.memberName ?? "tasks";
}

/** The three known names with the most pairs of letters in common (Dice's coefficient). */
function nearest(name: string): string[] {
  const pairs = (text: string) => new Set(Array.from(text.slice(1), (_, index) => text.slice(index, index + 2)));
  const wanted = pairs(name.toLowerCase());
  const similarity = (known: string) => {
    const own = pairs(known);
    return (2 * [...own].filter((pair) => wanted.has(pair)).length) / (own.size + wanted.size);
  };
  return [...allTasks.map(({ task }) => task), ...allGroups.map(({ group }) => group)]
    .map((known) => ({ known, score: similarity(known) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, 3)
    .map(({ known }) => known);
}

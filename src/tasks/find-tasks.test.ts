import assert from "node:assert/strict";
import { test } from "node:test";
import { allTasks, findTasks, tasksOf } from "./find-tasks.ts";

test("finds a task and expands groups through groups, each task once", () => {
  assert.deepEqual(
    findTasks(["hellaswag"]).tasks.map(({ task }) => task),
    ["hellaswag"],
  );
  const { tasks, groups } = findTasks(["mmlu_formal_logic", "mmlu", "piqa", "mmlu_stem"]);
  assert.equal(tasks.length, 58);
  assert.equal(tasks[0]?.task, "mmlu_formal_logic");
  assert.equal(tasks.at(-1)?.task, "piqa");
  assert.deepEqual(
    groups.map(({ group }) => group),
    ["mmlu", "mmlu_stem", "mmlu_other", "mmlu_social_sciences", "mmlu_humanities"],
  );
});

test("has lm-eval's 57 subjects in its four groups", () => {
  const sizes = findTasks(["mmlu"]).groups.map((group) => tasksOf(group).length);
  assert.deepEqual(sizes, [57, 19, 13, 12, 13]);
  assert.equal(new Set(allTasks.map(({ task }) => task)).size, allTasks.length);
});

test("names the tasks nearest to an unknown one", () => {
  assert.throws(() => findTasks(["hellaswag", "hella_swag"]), {
    name: "PrunelabError",
    message: /^unknown task: hella_swag; nearest: hellaswag, /,
  });
  assert.throws(() => findTasks(["MMLU-formal-logic"]), { message: /nearest: mmlu_formal_logic, / });
  assert.throws(() => findTasks(["x"]), { name: "PrunelabError", message: /^unknown task: x; nearest: / });
  assert.throws(() => findTasks([""]), { name: "PrunelabError" });
  assert.throws(() => findTasks([]), { name: "PrunelabError", message: /^no task named; / });
});

test("takes tasks of the user's own, under names of their own", () => {
  const [piqa] = findTasks(["piqa"]).tasks;
  const own = { ...piqa!, task: "my_piqa" };
  assert.deepEqual(findTasks([own, "piqa", own]).tasks, [own, piqa]);
  const twins = [own, { ...own }];
  assert.throws(() => findTasks(twins), { name: "PrunelabError", message: /^two tasks of one name: my_piqa; / });
  assert.throws(() => findTasks([{ ...piqa! }]), { message: /^two tasks of one name: piqa; / });
});

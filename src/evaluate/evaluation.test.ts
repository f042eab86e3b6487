import assert from "node:assert/strict";
import { test } from "node:test";
import { choiceTasks } from "../tasks/choice-tasks.test-helper.ts";
import { findTasks } from "../tasks/find-tasks.ts";
import { groupEvaluations, pooledStandardError, type TaskEvaluation } from "./evaluation.ts";

test("a group weighs its tasks by size and pools their errors", () => {
  const { groups } = findTasks(["mmlu_humanities"]);
  const evaluated = choiceTasks(["mmlu_humanities"])
    .slice(0, 2)
    .map((task, index): TaskEvaluation => {
      const size = index === 0 ? 100 : 300;
      const metrics = { acc: index === 0 ? { value: 0.5, stderr: 0.05 } : { value: 0.25, stderr: 0.025 } };
      const source = { kind: "demo" as const, where: "", complete: false, passedOver: [] };
      return {
        outputType: "multiple_choice",
        task,
        source,
        originalCount: size,
        fewshotCount: 0,
        samples: Array(size),
        metrics,
      };
    });
  const [group] = groupEvaluations(groups, evaluated);
  assert.equal(group?.metrics.acc?.value, 0.3125);
  assert.equal(group?.sampleCount, 400);
  assert.deepEqual(group?.tasks, ["mmlu_formal_logic", "mmlu_high_school_european_history"]);
  // sqrt((99 · .05² · 100 + 299 · .025² · 300) / 398 / 400), by lm-eval's own function.
  assert.equal(group?.metrics.acc?.stderr, 0.022530339678534607);
  assert.equal(pooledStandardError([0.1, null], [10, 1]), null);
});

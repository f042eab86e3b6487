import assert from "node:assert/strict";
import { test } from "node:test";
import { choiceTasks } from "../tasks/choice-tasks.test-helper.ts";
import { findTasks } from "../tasks/find-tasks.ts";
import type { TaskEvaluation } from "./evaluation.ts";
import { documentMetrics, firstMaximum, groupEvaluations, pooledStandardError, standardError } from "./metrics.ts";

const answers = (...sums: number[]) => sums.map((sum) => ({ sum, isGreedy: false }));

test("the first largest value wins, NaN above all, as in numpy", () => {
  assert.equal(firstMaximum([-3, -1, -1, -2]), 1);
  assert.equal(firstMaximum([-1, Number.NaN, -0.5, Number.NaN]), 1);
  assert.equal(firstMaximum([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]), 0);
  assert.equal(firstMaximum([-0, 0]), 0);
});

test("acc_norm divides by code points, not by UTF-16 units or bytes", () => {
  const [piqa] = choiceTasks(["piqa"]);
  // Two characters of four units and eight bytes against three of three.
  const doc = { goal: "g", sol1: "𝔘𝔘", sol2: "abc", label: 1 };
  assert.deepEqual(documentMetrics(piqa!, doc, answers(-3, -4)), { acc: 0, acc_norm: 1 });
  assert.deepEqual(documentMetrics(piqa!, doc, answers(-2, -4)), { acc: 0, acc_norm: 0 });
});

test("an empty choice, one choice, and equal choices are scored", () => {
  const [piqa, arc] = choiceTasks(["piqa", "arc_easy"]);
  const empty = { goal: "g", sol1: "", sol2: "abc", label: 1 };
  assert.deepEqual(documentMetrics(piqa!, empty, answers(-1, -2)), { acc: 0, acc_norm: 1 });
  const single = { question: "q", choices: { text: ["a"], label: ["A"] }, answerKey: "A" };
  assert.deepEqual(documentMetrics(arc!, single, answers(-7)), { acc: 1, acc_norm: 1 });
  const equal = { goal: "g", sol1: "same", sol2: "same", label: 1 };
  assert.deepEqual(documentMetrics(piqa!, equal, answers(-1, -1)), { acc: 0, acc_norm: 0 });
});

test("the standard error is lm-eval's to the last digit", () => {
  const correct = (count: number, n: number) => Array.from({ length: n }, (_, index) => (index < count ? 1 : 0));
  // The last digit depends on the order of the documents, as the sum goes from left to right.
  assert.equal(standardError(correct(87, 200)), 0.03514328173714404);
  assert.equal(standardError(correct(87, 200).reverse()), 0.035143281737144094);
  assert.equal(standardError([1, 1, 1]), 0);
  assert.equal(standardError([1]), null);
});

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

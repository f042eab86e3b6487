import assert from "node:assert/strict";
import { test } from "node:test";
import { choiceTasks } from "../choice-tasks.test-helper.ts";
import { standardError } from "./metrics.ts";
import { documentMetrics, firstMaximum } from "./multiple-choice.ts";

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

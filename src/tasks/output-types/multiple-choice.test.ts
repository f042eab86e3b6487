import assert from "node:assert/strict";
import { test } from "node:test";
import { choiceTasks } from "../choice-tasks.test-helper.ts";
import { firstMaximum, multipleChoice } from "./multiple-choice.ts";

const [piqa] = choiceTasks(["piqa"]);

test("a document's right choice must be one of its choices", () => {
  const check = (label: number) => multipleChoice.check(piqa!, { goal: "g", sol1: "a", sol2: "b", label });
  check(0);
  check(1);
  for (const label of [-1, 2, 0.5])
    assert.throws(() => check(label), { message: /^right choice out of range: .* of 2 / });
});

test("there is a context for each choice, or one for all", () => {
  const check = (docToText: () => unknown) =>
    multipleChoice.check({ ...piqa!, docToText: docToText as () => string }, { sol1: "a", sol2: "b", label: 0 });
  check(() => "one");
  check(() => ["one", "each"]);
  assert.throws(() => check(() => ["one"]), /^PrunelabError: 1 contexts for 2 choices; /);
  assert.throws(() => check(() => undefined), /^PrunelabError: no context: undefined; /);
});

test("the first NaN is the largest, also in first place", () => {
  assert.deepEqual([firstMaximum([Number.NaN, 3]), firstMaximum([2, Number.NaN]), firstMaximum([1, 3, 2])], [0, 1, 1]);
});

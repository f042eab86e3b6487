import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ChoiceSample } from "../tasks/output-types/multiple-choice.ts";
import { chanceAccuracy, choiceCounts, choiceNames, goldMargin, isDegenerate, takenChoice } from "./comparison-row.ts";
import { choicesOf, type ScoredDoc, scoredEvaluation } from "./scored.test-helper.ts";

const samplesOf = (task: string, docs: ScoredDoc[]): readonly ChoiceSample[] =>
  choicesOf(scoredEvaluation("", { [task]: docs }))[0]!.samples;
const threeOrFive = samplesOf("arc_easy", [
  { target: 0, sums: [-2, -1, -3] },
  { target: 4, sums: [-5, -1, -3, -2, -1] },
]);

describe("choices", () => {
  it("counts taken and right choices, also where documents have fewer of them", () => {
    assert.deepEqual(choiceCounts(threeOrFive, takenChoice), [0, 2, 0, 0, 0]);
    assert.deepEqual(
      choiceCounts(threeOrFive, ({ target }) => target),
      [1, 0, 0, 0, 1],
    );
    assert.equal(chanceAccuracy(threeOrFive), (1 / 3 + 1 / 5) / 2);
  });

  it("names them by their texts where all documents share them, else by letters", () => {
    const docs = [0, 1].map((target) => ({ target, sums: [-1, -2] }));
    assert.deepEqual(choiceNames(samplesOf("boolq", docs)), ["no", "yes"]);
    assert.deepEqual(choiceNames(samplesOf("piqa", docs)), ["A", "B"]);
    assert.deepEqual(choiceNames(threeOrFive), ["A", "B", "C", "D", "E"]);
    const many = samplesOf("hellaswag", [{ target: 0, sums: Array(28).fill(-1) }]);
    assert.deepEqual(choiceNames(many).slice(24), ["Y", "Z", "27", "28"]);
  });

  it("flags a model from 95 % the same answers on, unless they are right or too few", () => {
    assert.equal(isDegenerate([95, 5, 0, 0], [25, 25, 25, 25]), true);
    assert.equal(isDegenerate([94, 6, 0, 0], [25, 25, 25, 25]), false);
    assert.equal(isDegenerate([0, 100], [4, 96]), false);
    assert.equal(isDegenerate([0, 100], [6, 94]), true);
    assert.equal(isDegenerate([10, 0], [5, 5]), true);
    assert.equal(isDegenerate([9, 0], [5, 4]), false);
    assert.equal(isDegenerate([50], [50]), false);
  });

  it("measures the right choice against the best other one", () => {
    const margins = (sums: number[], target: number) => goldMargin(samplesOf("hellaswag", [{ target, sums }])[0]!);
    assert.equal(margins([-4, -1, -3], 1), 2);
    assert.equal(margins([-4, -1, -3], 2), -2);
    assert.equal(margins([-1, -1], 0), 0);
    assert.equal(margins([-1], 0), null);
    assert.equal(margins([Number.NEGATIVE_INFINITY, -1], 0), null);
    assert.equal(margins([-1, Number.NaN], 0), null);
  });
});

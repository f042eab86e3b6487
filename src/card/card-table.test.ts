import assert from "node:assert/strict";
import { test } from "node:test";
import { cardEvaluations } from "../evaluate/scored.test-helper.ts";
import { cardRows, compareWithCard, textTable } from "./card-table.ts";

const [dense, pruned] = cardEvaluations;

test("the card's counts give the card's row; the plain mean of MMLU and the pooled share stand under their names", () => {
  const rows = textTable(compareWithCard(dense, pruned))
    .split("\n")
    .map((line) => line.split(/ {2,}/));
  assert.deepEqual(rows.slice(0, 4), [
    ["task", "n", "dense", "pruned", "change", "card: dense", "card: pruned", "card: change"],
    ["Average MMLU (5 subjects), plain mean", "726", "24.88", "26.17", "+1.29", "24.88", "26.17", "+1.29"],
    // 184 and 189 of 726 documents.
    ["MMLU (5 subjects), pooled share", "726", "25.34", "26.03", "+0.69", "–", "–", "–"],
    ["HellaSwag", "200", "43.50", "29.50", "-14.00", "43.50", "29.50", "-14.00"],
  ]);
  assert.deepEqual(cardRows(dense, pruned)[1]!["card: dense"], null);
});

test("without all five subjects there is no row for them together", () => {
  const some = { ...dense, tasks: dense.tasks.slice(0, 5) };
  assert.deepEqual(
    compareWithCard(some, pruned).map(({ n }) => n),
    [200, 126, 100, 200, 200],
  );
});

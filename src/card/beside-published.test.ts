import assert from "node:assert/strict";
import { test } from "node:test";
import type { ScoreRow } from "../evaluate/score-rows.ts";
import { besidePublished, besidePublishedFigure } from "./beside-published.ts";
import { gemmaTables } from "./published.ts";

const table = gemmaTables.find(({ id }) => id === "270m-pt")!;
const own = { model: "m", task: "hellaswag", shots: 10, n: 200, note: "not lm-eval's draw" };
const scores: ScoreRow[] = [
  { ...own, metric: "acc", score: 0.435, low: 0.368, high: 0.504 },
  { ...own, metric: "acc_norm", score: 0.5, low: 0.43, high: 0.57 },
  // Zero-shot is another measurement than the published ten-shot.
  { ...own, shots: 0, metric: "acc", score: 0.1, low: 0, high: 0.2 },
];

test("ours stands beside the published score of the same number of examples alone", () => {
  const rows = besidePublished(table, scores);
  assert.equal(rows.length, table.rows.length + 1);
  const [acc, norm, boolq] = rows;
  assert.deepEqual([acc!.published, acc!.measured, acc!.within, norm!.within], [40.9, 43.5, "yes", "no"]);
  assert.ok(Math.abs(acc!.difference! - 2.6) < 1e-9);
  assert.deepEqual([boolq!.benchmark, boolq!.measured, boolq!.note], ["BoolQ", null, "not measured"]);
});

test("the figure says which rows are weaker than they look", async () => {
  const figure = besidePublishedFigure(table, besidePublished(table, scores));
  assert.match(figure.caption, /\*: not lm-eval's draw\. n = 200 documents a row\. Source: Google DeepMind/);
  const svg = await figure.svg();
  for (const text of ["published", "measured, acc_norm", "HellaSwag, 10-shot *", "BoolQ, 0-shot"]) {
    assert.ok(svg.includes(text), text);
  }
  assert.ok(!svg.includes("BoolQ, 0-shot *"), "nothing is said against what was not measured");
});

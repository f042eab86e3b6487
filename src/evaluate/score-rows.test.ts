import assert from "node:assert/strict";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { HubError } from "../hub/request.ts";
import { loadLanguageModel } from "../model/load.ts";
import { evaluate } from "./evaluate.ts";
import { scoreRows } from "./score-rows.ts";
import { shareInterval } from "./statistics.ts";

test("a row for each metric of each task, with Wilson's interval and what weakens it", async () => {
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const locate = () => Promise.reject(new HubError("unreachable", "no network in this test"));
  const options = { limit: 6, numFewshot: 1, folder: "", locate };
  const evaluation = await evaluate(model, ["hellaswag", "mmlu_formal_logic"], options);
  await model.release();
  const rows = scoreRows(evaluation);
  const [{ metrics, samples }] = evaluation.tasks as [(typeof evaluation.tasks)[number]];
  const score = metrics.acc!.value;
  const { low, high } = shareInterval(Math.round(score * samples.length), samples.length);
  const note = "demo, not lm-eval's draw";
  const [first, ...others] = rows;
  assert.deepEqual(first, {
    ...{ model: model.name, task: "hellaswag", shots: 1, metric: "acc", n: samples.length, score, low, high, note },
  });
  assert.deepEqual(
    others.map(({ task, metric }) => [task, metric]),
    [
      ["hellaswag", "acc_norm"],
      ["mmlu_formal_logic", "acc"],
    ],
  );
});

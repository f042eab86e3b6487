import assert from "node:assert/strict";
import { test } from "node:test";
import { compareEvaluations } from "../evaluate/compare.ts";
import { cardEvaluations } from "../evaluate/scored.test-helper.ts";
import { conclusions } from "./conclusion.ts";

test("says what no test was made of, and nothing where there is nothing", () => {
  const data = compareEvaluations(...cardEvaluations);
  const sentences = conclusions(data);
  assert.deepEqual(conclusions({ ...data, leftOut: ["triviaqa"] }), [
    ...sentences,
    "Not compared, since only multiple choice is: TriviaQA.",
  ]);
  assert.ok(!sentences.some((sentence) => sentence.startsWith("Not compared")));
});

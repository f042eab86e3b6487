import assert from "node:assert/strict";
import { test } from "node:test";
import { triviaqa } from "../triviaqa.ts";
import { exactMatch, filterAnswer, type GenerationTask } from "./generate-until.ts";

const task = triviaqa as GenerationTask;

test("case, punctuation and the white space around an answer do not count, all else does", () => {
  const match = (answer: string, ...targets: string[]) => exactMatch(task, filterAnswer(task, answer), targets);
  assert.equal(match(" \u00a0O'Neill-Smith \n", "x", "oneillsmith"), 1);
  assert.equal(match("ÉCOLE", "école"), 1);
  assert.equal(match("the beatles", "beatles"), 0);
  assert.equal(match("a  b", "a b"), 0);
  assert.equal(match("", "?!"), 1);
  assert.equal(match("“quoted”", "quoted"), 0);
  assert.equal(match("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", ""), 1);
});

test("compares as written where the task asks for that", () => {
  const strict = { ...task, matching: { ignore_case: false, ignore_punctuation: false } };
  assert.equal(exactMatch(strict, "A.", ["a"]), 0);
  assert.equal(exactMatch(strict, "A.", ["A."]), 1);
});

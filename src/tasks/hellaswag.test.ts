import assert from "node:assert/strict";
import { test } from "node:test";
import { hellaswag } from "./hellaswag.ts";

const row = {
  activity_label: "How to sew",
  ctx_a: "[header] Sew. [title] Take a needle. [step]",
  ctx_b: "",
  endings: [" Thread  it. [substeps] Pull", "a    b", "[x\ny] z", "[ [a] ]"],
  label: "2",
};

// Expected texts are those of lm-eval's utils.py under Python 3.11.
test("cleans WikiHow's marks in lm-eval's steps", () => {
  const doc = hellaswag.processDoc(row);
  // A mark's two spaces become one; of four spaces two are left, as they are replaced once.
  assert.equal(doc.query, "How to sew: Sew.. Take a needle. ");
  assert.deepEqual(doc.choices, ["Thread it. Pull", "a  b", "[x\ny] z", " ]"]);
  assert.equal(doc.gold, 2);
});

test("capitalizes the second part as Python does, and keeps the row's fields first", () => {
  const doc = hellaswag.processDoc({ ...row, ctx_a: "A man sits.", ctx_b: "the MAN" });
  assert.equal(doc.query, "How to sew: A man sits. The man");
  assert.deepEqual(Object.keys(doc), [...Object.keys(row), "query", "choices", "gold"]);
});

test("takes labels as the Hub and as the original files have them, and no others", () => {
  assert.equal(hellaswag.processDoc({ ...row, label: 0 }).gold, 0);
  for (const label of ["", "4", "01", "x", 4, -1, 1.5, null, undefined]) {
    assert.throws(() => hellaswag.processDoc({ ...row, label }), {
      name: "PrunelabError",
      message: /^field "label" must be/,
    });
  }
});

test("names a missing or misshapen field", () => {
  const cases = { ctx_a: undefined, ctx_b: 3, activity_label: null, endings: ["a", "b", "c"] };
  for (const [name, value] of Object.entries(cases)) {
    const message = new RegExp(`^field "${name}" must be `);
    assert.throws(() => hellaswag.processDoc({ ...row, [name]: value }), { name: "PrunelabError", message });
  }
});

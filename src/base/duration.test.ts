import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { advanceText, duration } from "./duration.ts";

describe("durations", () => {
  it("are in the units that people use", () => {
    const texts = [0, 4.24, 9.96, 59.4, 59.6, 200, 3599.6, 7530].map(duration);
    assert.deepEqual(texts, ["0.0 s", "4.2 s", "10 s", "59 s", "1 min 0 s", "3 min 20 s", "1 h 0 min", "2 h 5 min"]);
  });

  it("of a step come with its amounts, rate and what is left", () => {
    const step = { done: 120, total: 200, unit: "documents", offset: 20, seconds: 20 };
    assert.equal(advanceText(step), "120 of 200 documents, 5.0 documents/s, 16 s left");
    assert.equal(advanceText({ ...step, done: 200 }), "200 of 200 documents in 20 s");
    assert.equal(advanceText({ ...step, done: 20, seconds: 0 }), "20 of 200 documents");
    assert.equal(advanceText({ done: 3e8, total: 0, unit: "bytes", offset: 0, seconds: 10 }), "300 MB, 30.0 MB/s");
    assert.equal(advanceText({ done: 3000, total: 0, unit: "rows", offset: 0, seconds: 10 }), "3,000 rows, 300 rows/s");
  });
});

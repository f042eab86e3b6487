import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { openHistory } from "./history.ts";

const folder = mkdtempSync(join(tmpdir(), "prunelab-history-"));
after(() => rmSync(folder, { recursive: true }));

describe("history", () => {
  const path = join(folder, "deep", "history.jsonl");
  const first = openHistory(path);
  first.add(1, "a = 1", undefined);
  first.add(2, "b?", "2");

  it("gives the last entries, with their outputs on request", () => {
    assert.deepEqual(first.query({ hist_access_type: "tail", n: 1 }), [[1, 2, "b?"]]);
    assert.deepEqual(first.query({ hist_access_type: "tail", n: 2, output: true }), [
      [1, 1, ["a = 1", null]],
      [1, 2, ["b?", "2"]],
    ]);
  });

  it("is kept for the next session, and survives a line that is cut off", () => {
    appendFileSync(path, '{"session": 1, "li');
    appendFileSync(path, "\n");
    const second = openHistory(path);
    second.add(1, "c", undefined);
    second.add(2, "c", undefined);
    assert.deepEqual(second.query({ hist_access_type: "range", session: -1, start: 2, stop: 9 }), [[1, 2, "b?"]]);
    assert.deepEqual(second.query({ hist_access_type: "range", session: 0, start: 1, stop: 2 }), [[2, 1, "c"]]);
    assert.equal(second.query({ hist_access_type: "search", pattern: "c" }).length, 2);
    assert.deepEqual(second.query({ hist_access_type: "search", pattern: "c", unique: true }), [[2, 2, "c"]]);
    assert.deepEqual(second.query({ hist_access_type: "search", pattern: "?[?]" }), []);
    assert.deepEqual(second.query({ hist_access_type: "search", pattern: "a*1", n: 5 }), [[1, 1, "a = 1"]]);
  });

  it("goes on without a file where none can be written", () => {
    const nowhere = openHistory("/dev/null/history.jsonl");
    nowhere.add(1, "x", undefined);
    assert.deepEqual(nowhere.query({ hist_access_type: "tail", n: 5 }), [[1, 1, "x"]]);
  });
});

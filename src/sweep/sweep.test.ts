import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { HubError } from "../hub/request.ts";
import { loadCalibration } from "../prune/calibration.ts";
import { columnNorms } from "../prune/statistics.ts";
import { sweepTasks } from "./sweep.ts";

const dense = await openCheckpointFile(tinyModel);
const locate = () => Promise.reject(new HubError("unreachable", "no network in this test"));

test("a sweep has a row for each method, sparsity and metric, and measures the dense model once", async () => {
  const asked: string[] = [];
  const rows = await sweepTasks(dense, ["mmlu_formal_logic"], {
    methods: [{ method: "magnitude" }, { method: "random", seed: 1 }],
    sparsities: [0, 0.5],
    evaluation: { limit: 4, folder: "", locate },
    onModel: (name) => asked.push(name),
  });
  assert.deepEqual(
    rows.map(({ method, sparsity, metric, n }) => [method, sparsity, metric, n]),
    ["magnitude", "random"].flatMap((method) => [0, 0.5].map((sparsity) => [method, sparsity, "acc", 4])),
  );
  assert.equal(asked.length, 3);
  assert.equal(rows[0]!.score, rows[2]!.score);
  assert.ok(rows[1]!.model.endsWith("magnitude-50"));
});

test("calibration tells what its windows are made of, and the norms of what they meet", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-calibration-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [first, second] = [join(folder, "a.txt"), join(folder, "b.jsonl")];
  writeFileSync(first, "the cat sat on the mat ".repeat(60));
  writeFileSync(second, `${JSON.stringify({ text: "a dog ran ".repeat(90) })}\n`.repeat(3));
  const options = { source: [first, second], windows: 4, tokens: 16 };
  const { windows, parts } = await loadCalibration(dense, options);
  assert.deepEqual(new Set(parts.map(({ source }) => source)), new Set([first, second]));
  assert.equal(
    parts.reduce((sum, { tokens }) => sum + tokens, 0),
    windows.length * 15,
  );
  const norms = await columnNorms(dense, options);
  assert.equal(norms.length, 4 * dense.config.num_hidden_layers);
  for (const { median, largest, width, outliers } of norms) {
    assert.ok(median > 0 && largest >= median && outliers < width / 2);
  }
});

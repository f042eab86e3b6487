import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { evaluateCheckpoint } from "./evaluate.ts";
import { ownTask } from "./own-task.test-helper.ts";

test("an evaluation shows itself as lm-eval's table, in a terminal and in a notebook", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-evaluate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const task = ownTask(folder, { validation: [{ text: "Just one:", choices: ["only"], gold: 0 }] });
  const evaluation = await evaluateCheckpoint(await openCheckpointFile(tinyModel), [task]);
  const lines = String(evaluation).split("\n");
  assert.deepEqual(lines.slice(2), [
    "| own | 1 | 0 | 1 | acc | 1.0000 |  |",
    "| own | 1 | 0 | 1 | acc_norm | 1.0000 |  |",
  ]);
  const show = (evaluation as unknown as Record<symbol, () => Record<string, string>>)[Symbol.for("Jupyter.display")]!;
  assert.deepEqual(show.call(evaluation), { "text/plain": String(evaluation), "text/markdown": String(evaluation) });
});

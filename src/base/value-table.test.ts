import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { exportModel } from "../export/export-model.ts";
import { openCheckpoint } from "../hub/open-checkpoint.ts";
import { loadLanguageModel } from "../model/load.ts";
import { prune } from "../prune/prune.ts";
import { sparsityReport } from "../prune/sparsity.ts";
import { display } from "./display-name.ts";
import { packageRoot } from "./package-root.ts";
import { withTable } from "./value-table.ts";

function shown(value: object): Record<string, string> {
  return (value as Record<symbol, () => Record<string, string>>)[display]!();
}

describe("a value's table", () => {
  it("is escaped, leaves out what is not known, and is not part of the value", () => {
    const value = withTable({ a: 1 }, () => ({ name: "<b>", weights: 1200, source: undefined }));
    assert.equal(shown(value)["text/plain"], "name     <b>\nweights  1,200");
    assert.match(shown(value)["text/html"]!, /&lt;b&gt;/);
    assert.deepEqual([Object.keys(value), Object.getOwnPropertySymbols({ ...value })], [["a"], []]);
  });

  it("is what a checkpoint, a pruned one, a report, an exported one and a language model show", async (t) => {
    const dense = await openCheckpoint(join(packageRoot(), "data", "tiny-gemma3"));
    assert.match(
      shown(dense)["text/plain"]!,
      /^name +tiny-gemma3\nfamily +gemma3_text\nweights +[\d,]+.*\nsource +\S+/s,
    );
    const pruned = await prune(dense, { method: "magnitude", sparsity: 0.5 });
    const text = shown(pruned)["text/plain"]!;
    assert.match(text, /^name +tiny-gemma3-magnitude-50\nfamily +gemma3_text\n/);
    assert.match(
      text,
      /\nsparsity +50\.0 % of the scope, [\d.]+ % of all weights\nscope +[\d.]+ % of all weights, \d+ tensors\n/,
    );
    assert.match(text, /\nsource +pruned from tiny-gemma3$/);
    assert.match(shown(pruned.report)["text/plain"]!, /^name +tiny-gemma3-magnitude-50\nweights .*\nsparsity +50\.0 %/);
    assert.match(shown(await sparsityReport(dense))["text/plain"]!, /sparsity/);
    const folder = await mkdtemp(join(tmpdir(), "prunelab-table-"));
    t.after(() => rm(folder, { recursive: true }));
    const exported = await exportModel(pruned, folder, { to: "gguf:f16" });
    assert.match(
      shown(exported)["text/plain"]!,
      /^name +tiny-gemma3-magnitude-50\nform +gguf:f16\ntiny-gemma3-magnitude-50-F16\.gguf +0\.\d MB$/,
    );
    const model = await loadLanguageModel(pruned);
    try {
      assert.match(
        shown(model)["text/plain"]!,
        /^name +tiny-gemma3-magnitude-50\nfamily +gemma3_text\nweights .*\ndevice +cpu\n/,
      );
    } finally {
      await model.release();
    }
  });
});

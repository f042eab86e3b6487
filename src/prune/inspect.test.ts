import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { expectedModels, randomModel, randomTensors, writeModel } from "../checkpoint/random-model.test-helper.ts";
import { inspectCheckpoint } from "./inspect.ts";
import { prune } from "./prune.ts";

const dense = await openCheckpointFile(tinyModel, { name: "tiny" });

test("the scope, the shares and the pattern of each way to prune are seen in the weights alone", async () => {
  for (const [options, pattern] of [
    [{ method: "magnitude", sparsity: 0.5 }, "per tensor"],
    [{ method: "magnitude", sparsity: 0.5, pattern: "row" }, "per row"],
    [{ method: "magnitude", sparsity: 0.5, pattern: "global" }, "global"],
    [{ method: "magnitude", pattern: "2:4" }, "2:4"],
    [{ method: "magnitude", pattern: "4:8" }, "4:8"],
  ] as const) {
    const checkpoint = await prune(dense, options);
    const seen = await inspectCheckpoint(checkpoint, { base: dense });
    assert.equal(seen.pattern, pattern, JSON.stringify(options));
    assert.equal(seen.pruned.length, 7);
    for (const { name, sparsity } of seen.pruned) {
      if (pattern !== "global") assert.ok(Math.abs(sparsity - 0.5) < 0.01, `${name}: ${sparsity}`);
    }
    assert.equal(seen.base?.changed, 0);
    assert.ok(seen.base!.newZeros > 0);
    assert.match(seen.summary, /fits tiny: every weight is the base's or zero/);
  }
});

test("a dense model, a scope of its own, changed weights and another base are told", async () => {
  const seen = await inspectCheckpoint(dense);
  assert.deepEqual([seen.family, seen.pattern, seen.isTied, seen.base], ["gemma3_text", "dense", true, null]);
  assert.match(seen.summary, /^tiny: gemma3_text, .*, stored in BF16, head tied to the embedding\nnot pruned: /);
  assert.deepEqual(seen.dtypes, { BF16: seen.weights });
  const gguf = await inspectCheckpoint(await openCheckpointFile(join(tinyModel, "model.gguf")));
  assert.deepEqual(Object.keys(gguf.dtypes), ["Q8_0", "F16", "BF16", "F32"]);
  const checkpoint = await prune(dense, { method: "magnitude", sparsity: 0.3, scope: "up_proj" });
  assert.deepEqual(
    (await inspectCheckpoint(checkpoint)).pruned.map(({ name }) => name),
    ["mlp.up_proj"],
  );
  const { config } = expectedModels.olmo2!;
  const tensors = randomTensors(config);
  const data = tensors[3]!.data.slice();
  data[0]! ^= 1;
  const other = await openCheckpointFile(await writeModel(config, tensors.with(3, { ...tensors[3]!, data })));
  const olmo = await randomModel("olmo2");
  const changed = await inspectCheckpoint(other, { base: olmo });
  assert.deepEqual([changed.base!.changed, changed.isTied], [1, false]);
  assert.match(changed.summary, /differs from olmo2: 1 weights/);
  await assert.rejects(inspectCheckpoint(dense, { base: olmo }), {
    name: "PrunelabError",
    message: /^base is another model/,
  });
});

test("the command prints it, and finishes what torch left unfinished", async () => {
  const command = async (...words: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      "scripts/cli/prunelab.ts",
      "inspect",
      ...words,
    ]);
    return stdout;
  };
  const json = JSON.parse(await command(tinyModel, "--json"));
  assert.deepEqual([json.family, json.pattern], ["gemma3_text", "dense"]);
  const { config } = expectedModels.smollm2!;
  const stored = randomTensors(config).flatMap((tensor) =>
    /down_proj/.test(tensor.name)
      ? [
          { ...tensor, name: `${tensor.name}_orig` },
          { ...tensor, name: `${tensor.name}_mask`, data: tensor.data.map((_, i) => (i % 2 ? 0 : 0x3f80)) },
        ]
      : [tensor],
  );
  const output = join(await mkdtemp(join(tmpdir(), "prunelab-inspect-")), "finished");
  assert.match(
    await command(await writeModel(config, stored), "--apply-masks", output, "--tensors"),
    / 50\.0 % {2}model\.layers\.0\.mlp\.down_proj/,
  );
  assert.equal((await inspectCheckpoint(await openCheckpointFile(output))).pattern, "2:4");
});

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { GraphBuilder } from "../onnx/graph.ts";
import { float32, int64, openSession } from "../onnx/session.ts";
import { buildBlockGraph, linearInputs } from "./block-graph.ts";
import { addNorm } from "./decoder.ts";
import { buildGraph } from "./graphs.ts";
import { advance, embedWindows, openBlock, readBlock } from "./run-block.ts";
import { weightsFolder } from "./weights.ts";

// Longer than the tiny model's window of 8 and than two spans of attention; an odd number of windows.
const tokens = 150;
const windows = [1, 2, 3].map((seed) =>
  Array.from({ length: tokens }, (_, i) => (i === 0 ? 2 : 4 + ((i * 7919 * seed) % 500))),
);
let checkpoint: Checkpoint;
before(async () => {
  checkpoint = await openCheckpointFile(tinyModel);
});

test("block after block gives what the whole model gives", async () => {
  const { config } = checkpoint;
  const hidden = await embedWindows(checkpoint, windows);
  const block = openBlock(config, ["hidden_out"]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    await advance(block, layer, await readBlock(checkpoint, layer), hidden);
  }
  await block.release();
  const graph = new GraphBuilder(new Map(), "");
  const columns = config.hidden_size;
  const x = graph.input("x", "float32", ["rows", columns]);
  const embedding = graph.input("embedding", "float32", [config.vocab_size, columns]);
  const normed = addNorm(graph, config, x, graph.input("norm", "float32", [columns]));
  graph.output("logits", graph.op("Gemm", [normed, embedding], { transB: 1 }), "float32", ["rows", config.vocab_size]);
  const head = await openSession(graph.encode("head"));
  const read = async (name: string) =>
    Float32Array.from(
      (await checkpoint.read(name)).data,
      (bits) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!,
    );
  const norm = (await read("model.norm.weight")).map((w) => 1 + w);
  const { logits } = await head.run({
    x: float32(hidden.data, [3 * tokens, columns]),
    embedding: float32(await read("model.embed_tokens.weight"), [config.vocab_size, columns]),
    norm: float32(norm, [columns]),
  });

  const whole = await openSession(buildGraph(config, "generate"), { folder: await weightsFolder(checkpoint) });
  const empty = float32(new Float32Array(0), [3, config.num_key_value_heads, 0, config.head_dim]);
  const feeds = Object.fromEntries(
    config.layer_types.flatMap((_, n) => ["key", "value"].map((what) => [`past_key_values.${n}.${what}`, empty])),
  );
  const expected = await whole.run({
    ...feeds,
    input_ids: int64(windows.flat(), [3, tokens]),
    attention_mask: int64(new Array(3 * tokens).fill(1), [3, tokens]),
    position_ids: int64(
      windows.flatMap((window) => [...window.keys()]),
      [3, tokens],
    ),
    num_logits_to_keep: int64([0], []),
  });
  const [seen, wanted] = [logits!.data as Float32Array, expected.logits!.data as Float32Array];
  const worst = seen.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);
  assert.ok(worst < 1e-4, `logits differ by ${worst}`);
});

test("the inputs of the linear layers and their sums, squares and products leave out the first token where asked", async () => {
  // Several panels of the Gram matrix, the last one narrower.
  const config = { ...checkpoint.config, intermediate_size: 600 };
  const hidden = await embedWindows(checkpoint, windows);
  const weights = await readBlock(checkpoint, 0);
  for (const name of ["mlp.gate_proj.weight", "mlp.up_proj.weight"]) {
    weights.set(
      name,
      Float32Array.from({ length: 600 * config.hidden_size }, (_, i) => Math.sin(i * name.length)),
    );
  }
  const inputs = Object.keys(linearInputs) as (keyof typeof linearInputs)[];
  const outputs = inputs.flatMap(
    (name) => [`input.${name}`, `sums.${name}`, `squares.${name}`, `gram.${name}`] as const,
  );
  for (const skipFirst of [false, true]) {
    const block = openBlock(config, outputs, { skipFirst });
    await block.run(0, weights, hidden, (outputs) => {
      for (const name of inputs) {
        const [x, sums, squares, gram] = ["input", "sums", "squares", "gram"].map(
          (what) => outputs[`${what}.${name}`]!,
        );
        const columns = sums!.length;
        assert.equal(x!.length, columns * 3 * (skipFirst ? tokens - 1 : tokens), name);
        const all = Array.from({ length: columns }, (_, n) =>
          Float32Array.from({ length: x!.length / columns }, (_, row) => x![row * columns + n]!),
        );
        const near = (seen: number, terms: Float32Array, what: string) => {
          const size = terms.reduce((sum, term) => sum + Math.abs(term), 0);
          const sum = terms.reduce((sum, term) => sum + term, 0);
          assert.ok(Math.abs(seen - sum) <= 1e-5 * size, `${what} of ${name}: ${seen}, ${sum}`);
        };
        for (const [n, values] of all.entries()) {
          near(sums![n]!, values, `sum ${n}`);
          const squared = values.map((value) => value ** 2);
          near(squares![n]!, squared, `square ${n}`);
          near(gram![n * columns + n]!, squared, `product ${n} ${n}`);
          const other = (n * 7919) % (n + 1);
          const products = values.map((value, i) => value * all[other]![i]!);
          near(gram![n * columns + other]!, products, `product ${n} ${other}`);
        }
      }
    });
    await block.release();
  }
});

test("a graph of a block takes no weights that its outputs do not need", async () => {
  const block = await openSession(
    buildBlockGraph(checkpoint.config, "full_attention", tokens, ["squares.self_attn.o_proj"]),
  );
  assert.ok(block.inputNames.includes("self_attn.v_proj.weight"));
  assert.ok(!block.inputNames.some((name) => name.startsWith("mlp") || name.includes("o_proj")));
});

test("windows that take several batches are each put in their own place", async () => {
  const many = Array.from({ length: 9 }, (_, seed) =>
    Array.from({ length: tokens }, (_, i) => (i === 0 ? 2 : 4 + ((i * 31 * (seed + 1)) % 500))),
  );
  const block = openBlock(checkpoint.config, ["hidden_out"]);
  const weights = await readBlock(checkpoint, 0);
  const together = await embedWindows(checkpoint, many);
  await advance(block, 0, weights, together);
  const size = tokens * checkpoint.config.hidden_size;
  for (const [index, window] of many.entries()) {
    const alone = await embedWindows(checkpoint, [window]);
    await advance(block, 0, weights, alone);
    const worst = alone.data.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - together.data[index * size + i]!)),
      0,
    );
    assert.ok(worst < 1e-4, `window ${index} differs by ${worst}`);
  }
  await block.release();
});

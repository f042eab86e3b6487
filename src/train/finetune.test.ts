import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { writeCheckpoint } from "../checkpoint/write.ts";
import { loadLanguageModel } from "../model/load.ts";
import { prune } from "../prune/prune.ts";
import { applyAdapter, mergeAdapter, readAdapter, writeAdapter } from "./adapter.ts";
import { type FinetuneOptions, finetune } from "./finetune.ts";
import { isRising, type LossPoint } from "./loop.ts";
import { maskOf, readMask, writeMask } from "./mask.ts";
import { uniform } from "./random.ts";
import { recover } from "./recover.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-train-"));
process.env.PRUNELAB_CACHE = join(folder, "cache");
test.after(() => rm(folder, { recursive: true }));

const dense = await openCheckpointFile("data/tiny-gemma3");
const pruned = await prune(dense, { method: "magnitude", pattern: "2:4" });
const words = "red green blue one two three four five six seven sun moon rain snow river hill tree leaf".split(" ");
const random = uniform("rows");
const phrase = (count: number) =>
  Array.from({ length: count }, () => words[Math.floor(random() * words.length)]!).join(" ");
const rows = Array.from({ length: 60 }, () => ({ prompt: `say ${phrase(2)}`, response: ` ${phrase(6)}` }));
const common = { data: rows, tokens: 32, heldOut: 2, seed: 3, evaluations: 3 } as const;
const zerosOf = (data: Uint16Array) => data.reduce((count, bits) => count + ((bits & 0x7fff) === 0 ? 1 : 0), 0);
const losses = (curve: readonly LossPoint[]) => curve.map(({ step, loss, heldOut }) => [step, loss, heldOut]);

test("masked training lessens the held-out loss, and zeros stay zero to the bit, 2:4 too", async () => {
  const notices: string[] = [];
  const options = { ...common, method: "masked", learningRate: 3e-3, maxSteps: 12, pattern: "2:4" } as const;
  const tuned = await finetune(pruned, { ...options, onNotice: (line) => notices.push(line) });
  const { training } = tuned;
  assert.equal(training.stopped, "finished");
  assert.equal(training.curve.length, 13);
  assert.ok(training.heldOutAfter < training.heldOutBefore, `${training.heldOutAfter} < ${training.heldOutBefore}`);
  for (const [name, { data }] of await maskOf(pruned)) {
    const own = await tuned.read(name);
    for (const [i, keep] of data.entries()) if (keep === 0) assert.equal(own.data[i], 0);
    assert.notDeepEqual(own.data, (await pruned.read(name)).data);
  }
  assert.notEqual(await tuned.digest(), await pruned.digest());
  // It goes on as any other checkpoint, and leaves nothing in the cache.
  await writeCheckpoint(tuned, join(folder, "written"));
  assert.deepEqual(await readdir(join(folder, "cache", "training")), []);
});

test("a run that was killed goes on with the same losses to the last digit", async () => {
  const options = { ...common, method: "masked", learningRate: 1e-3, maxSteps: 9 } as const;
  const whole = await finetune(pruned, { ...options, folder: join(folder, "whole") });
  const state = join(folder, "killed");
  const script = `
    import { openCheckpointFile } from "${process.cwd()}/src/checkpoint/open.ts";
    import { prune } from "${process.cwd()}/src/prune/prune.ts";
    import { finetune } from "${process.cwd()}/src/train/finetune.ts";
    const pruned = await prune(await openCheckpointFile("data/tiny-gemma3"), { method: "magnitude", pattern: "2:4" });
    await finetune(pruned, { ...${JSON.stringify({ ...options, folder: state })},
      onStep: ({ step }) => { if (step === 8) process.kill(process.pid, "SIGKILL"); } });`;
  const path = join(folder, "killed.mts");
  await writeFile(path, script);
  const { signal } = spawnSync(process.execPath, ["--import", "tsx", path], { stdio: "inherit" });
  assert.equal(signal, "SIGKILL");
  const notices: string[] = [];
  await assert.rejects(
    finetune(pruned, { ...options, learningRate: 2e-3, folder: state }),
    /another run lies in .*: other options, data or weights/,
  );
  const resumed = await finetune(pruned, { ...options, folder: state, onNotice: (line) => notices.push(line) });
  assert.equal(notices.at(-1), "going on after step 6");
  assert.deepEqual(losses(resumed.training.curve), losses(whole.training.curve));
  assert.equal(await resumed.digest(), await whole.digest());
});

test("stopping keeps the best so far", async () => {
  const controller = new AbortController();
  const tuned = await finetune(pruned, {
    ...common,
    method: "norms",
    maxSteps: 50,
    signal: controller.signal,
    onStep: ({ step }) => step === 3 && controller.abort(),
  });
  assert.equal(tuned.training.stopped, "aborted");
  assert.equal(tuned.training.steps, 3);
  assert.ok(tuned.training.heldOutAfter <= tuned.training.heldOutBefore);
  assert.equal(zerosOf((await tuned.read("model.layers.0.mlp.up_proj.weight")).data), 1024);
});

test("a run that a notebook's user stops keeps its state, and goes on with the same losses", async () => {
  const options = { ...common, method: "masked", learningRate: 1e-3, maxSteps: 7 } as const;
  const whole = await finetune(pruned, { ...options, folder: join(folder, "undisturbed") });
  const state = join(folder, "interrupted");
  const hook = Symbol.for("prunelab.interrupted");
  const controller = new AbortController();
  Object.assign(globalThis, { [hook]: () => controller.signal });
  const onStep = ({ step }: LossPoint) => step === 5 && controller.abort(new Error("KeyboardInterrupt"));
  await assert.rejects(finetune(pruned, { ...options, folder: state, onStep }), /KeyboardInterrupt/);
  Reflect.deleteProperty(globalThis, hook);
  const notices: string[] = [];
  const resumed = await finetune(pruned, { ...options, folder: state, onNotice: (line) => notices.push(line) });
  assert.equal(notices.at(-1), "going on after step 5");
  assert.deepEqual(losses(resumed.training.curve), losses(whole.training.curve));
  assert.equal(await resumed.digest(), await whole.digest());
});

test("no step begins after the minutes are over", async () => {
  const { training } = await finetune(pruned, { ...common, method: "norms", minutes: 1e-6 });
  assert.equal(training.steps, 1);
  assert.equal(training.plannedSteps, 1);
  assert.equal(training.stopped, "finished");
});

test("a learning rate that diverges stops, and the last good weights are kept", async () => {
  const notices: string[] = [];
  const options = { ...common, method: "masked", learningRate: 1e30, warmupSteps: 1, maxSteps: 60 } as const;
  const tuned = await finetune(pruned, { ...options, onNotice: (line) => notices.push(line) });
  assert.equal(tuned.training.stopped, "diverged");
  assert.match(notices.at(-1)!, /^training diverged at step \d+: .* choose a lower one$/);
  assert.ok(tuned.training.heldOutAfter <= tuned.training.heldOutBefore);
  const curve = (losses: readonly number[]) => losses.map((loss, index) => ({ step: index + 1, loss }));
  const falling = Array.from({ length: 20 }, (_, i) => 5 - i / 10);
  assert.equal(isRising(curve(falling), 3), false);
  assert.equal(isRising(curve([...falling, 6, 6, 6, 6, 6, 6, 6, 6, 6]), 6), true);
});

test("distillation moves a pruned model towards its teacher; another embedding is refused", async () => {
  const better = await recover(pruned, {
    ...common,
    teacher: dense,
    method: "distill",
    learningRate: 3e-3,
    maxSteps: 10,
  });
  assert.ok(better.training!.heldOutAfter <= better.training!.heldOutBefore);
  // A second run has the teacher's targets from the cache, a damaged one made anew.
  const teachers = join(folder, "cache", "teachers");
  const [own] = (await readdir(teachers, { withFileTypes: true })).filter((each) => each.isDirectory());
  const kept = join(teachers, own!.name);
  const [first, ...more] = await readdir(kept);
  assert.equal(more.length, 9);
  await writeFile(join(kept, first!), "damaged");
  const again = await recover(pruned, {
    ...common,
    teacher: dense,
    method: "distill",
    learningRate: 3e-3,
    maxSteps: 10,
  });
  assert.deepEqual(losses(again.training!.curve), losses(better.training!.curve));
  assert.notEqual((await stat(join(kept, first!))).size, "damaged".length);
  const other = {
    ...dense,
    read: async (name: string) => {
      const tensor = await dense.read(name);
      return name.includes("embed") ? { ...tensor, data: tensor.data.map((bits) => bits ^ 1) } : tensor;
    },
  };
  await assert.rejects(
    recover(pruned, { ...common, teacher: other, method: "distill" }),
    /the teacher has another model\.embed_tokens\.weight/,
  );
});

test("block-wise recovery lessens each block's error, keeps zeros, and goes on where it was stopped", async () => {
  const options = { ...common, teacher: dense, method: "blocks", windows: 8, epochs: 6, learningRate: 2e-3 } as const;
  const state = join(folder, "blocks");
  const better = await recover(pruned, options);
  assert.equal(better.blocks!.length, dense.config.num_hidden_layers);
  for (const { before, after } of better.blocks!) assert.ok(after <= before);
  assert.ok(better.blocks![0]!.after < 0.9 * better.blocks![0]!.before);
  const controller = new AbortController();
  const onProgress = ({ done, unit }: { done: number; unit: string }) =>
    unit === "blocks" && done === 2 && controller.abort();
  const part = await recover(pruned, {
    ...options,
    folder: state,
    signal: controller.signal,
    onProgress,
    onNotice: () => {},
  });
  assert.equal(part.blocks!.length, 2);
  const resumed = await recover(pruned, { ...options, folder: state });
  assert.equal(await resumed.digest(), await better.digest());
  for (const [name, { data }] of await maskOf(pruned)) {
    const own = await better.read(name);
    for (const [i, keep] of data.entries()) if (keep === 0) assert.equal(own.data[i], 0);
  }
});

test("LoRA: the adapter goes to files and back, apart, merged and under the mask", async () => {
  const options: FinetuneOptions = {
    ...common,
    method: "lora",
    learningRate: 1e-2,
    maxSteps: 8,
    lora: { r: 4, lora_alpha: 8 },
  };
  const tuned = await finetune(pruned, options);
  assert.ok(tuned.training.heldOutAfter < tuned.training.heldOutBefore);
  const path = join(folder, "adapter");
  await writeAdapter(tuned.adapter!, path);
  assert.deepEqual(await readAdapter(path), tuned.adapter);
  const applied = await applyAdapter(pruned, path);
  assert.equal(await applied.digest(), await tuned.digest());
  const model = await loadLanguageModel(applied);
  const [own] = await model.loglikelihoodTokens([[2, 5, 6, 7, 8]]);
  await model.release();
  assert.ok(own! < 0);
  const merged = await mergeAdapter(pruned, path);
  assert.ok(merged.zeros.lost > 0.9 * merged.zeros.before);
  const kept = await mergeAdapter(pruned, path, { keepZeros: true });
  assert.equal(kept.zeros.lost, 0);
  await assert.rejects(applyAdapter(dense, path), /adapter of another base/);
  const wide = {
    ...tuned.adapter!,
    tensors: new Map([...tuned.adapter!.tensors].map(([name, tensor]) => [name, { ...tensor, shape: [1, 1] }])),
  };
  await assert.rejects(applyAdapter(pruned, wide), /adapter for other shapes/);

  const masked = await finetune(pruned, {
    ...options,
    lora: { ...options.lora, masked: true, target_modules: ["up_proj"] },
  });
  assert.equal((await mergeAdapter(pruned, masked.adapter!)).zeros.lost, 0);
});

test("prompt tuning trains virtual tokens, from a text too, and its files are PEFT's", async () => {
  const options: FinetuneOptions = { ...common, method: "prompt", maxSteps: 6, prompt: { tokens: 3, text: "say" } };
  const tuned = await finetune(pruned, options);
  assert.ok(tuned.training.heldOutAfter <= tuned.training.heldOutBefore);
  assert.equal(tuned.training.trainedParameters, 3 * 32);
  const path = join(folder, "prompt");
  await writeAdapter(tuned.adapter!, path);
  assert.deepEqual(await readAdapter(path), tuned.adapter);
  // Scoring with the prompt meets what training saw: the held-out loss falls there too.
  const model = await loadLanguageModel(await applyAdapter(pruned, path));
  assert.equal(model.maxLength, pruned.config.max_position_embeddings - 3);
  await model.release();
  await assert.rejects(applyAdapter(dense, path), /adapter of another base/);
});

test("the mask goes to a file and back", async () => {
  const path = join(folder, "mask.safetensors");
  await writeMask(pruned, path);
  assert.deepEqual(await readMask(path), await maskOf(pruned));
});

test("mistakes are said in one sentence before training", async () => {
  const text = async (name: string, content: string) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  const bad: [Partial<FinetuneOptions>, RegExp][] = [
    [{ method: "qlora" as "lora" }, /unknown method: qlora; choose one of masked, norms, lora, prompt/],
    [{ learningRate: 0 }, /invalid learningRate: 0/],
    [{ positions: 2 }, /invalid positions: 2/],
    [{ pattern: "3:4" }, /the mask has no 3:4 pattern/],
    [{ data: [] }, /nothing to train on: rows is empty/],
    [{ data: await text("empty.txt", "") }, /nothing to train on: .*empty\.txt is empty/],
    [{ data: await text("none.jsonl", '{"prompt": "a", "response": ""}\n') }, /no responses in the data/],
    [
      { data: await text("odd.jsonl", '{"question": "a"}\n') },
      /no prompt, instruction or text in a row: .*odd\.jsonl line 1: question/,
    ],
    [{ data: await text("short.txt", "a few words") }, /too little text to train/],
    [{ data: join(folder, "missing.txt") }, /there is no such file/],
    [{ tokens: 4096 }, /training windows of 4096 tokens; the model sees 256/],
    [{ method: "lora", lora: { target_modules: ["query"] } }, /target modules match no linear layer: query/],
    [{ method: "lora", lora: { r: 0 } }, /invalid lora\.r: 0/],
  ];
  for (const [options, message] of bad) {
    await assert.rejects(finetune(pruned, { ...common, method: "masked", maxSteps: 1, ...options }), (error: Error) => {
      assert.equal(error.name, "PrunelabError", error.stack);
      assert.match(error.message, message);
      return true;
    });
  }
});

const skipWithoutGpu = process.env.VK_ICD_FILENAMES
  ? false
  : "set VK_ICD_FILENAMES to SwiftShader's vk_swiftshader_icd.json";
test("training on webgpu has the CPU's losses, whole and block by block", { skip: skipWithoutGpu }, async () => {
  const notices: string[] = [];
  const onNotice = (line: string) => notices.push(line);
  const short = { ...common, method: "masked", maxSteps: 2, learningRate: 1e-3, evaluations: 1, onNotice } as const;
  const onCpu = (await finetune(pruned, short)).training;
  const onGpu = (await finetune(pruned, { ...short, device: "webgpu" })).training;
  for (const [index, { loss = 0, heldOut = 0 }] of onGpu.curve.entries()) {
    const other = onCpu.curve[index]!;
    const apart = Math.max(Math.abs(loss - (other.loss ?? 0)), Math.abs(heldOut - (other.heldOut ?? 0)));
    // Adam makes whole steps of gradients that are rounding alone.
    assert.ok(apart < (index < 2 ? 1e-3 : 1e-2), `step ${index}: ${apart}`);
  }
  const blocks = { ...common, teacher: dense, method: "blocks", windows: 2, epochs: 1, onNotice } as const;
  const fitted = (await recover(pruned, { ...blocks, device: "webgpu" })).blocks!;
  for (const [index, { after }] of (await recover(pruned, blocks)).blocks!.entries()) {
    assert.ok(
      Math.abs(fitted[index]!.after - after) < 1e-3 * after,
      `block ${index}: ${fitted[index]!.after}, ${after}`,
    );
  }
  assert.deepEqual(
    notices.filter((line) => line.includes("CPU")),
    [],
  );
});

test("without its device training says so once and ends as on the CPU", async () => {
  const device = process.platform === "darwin" ? "dml" : "coreml";
  const notices: string[] = [];
  const options = { ...common, method: "norms", maxSteps: 1, evaluations: 1 } as const;
  const seen = await finetune(pruned, { ...options, device, onNotice: (line) => notices.push(line) });
  assert.equal(await seen.digest(), await (await finetune(pruned, options)).digest());
  assert.match(
    notices.join("\n"),
    new RegExp(`^training on the CPU: device is not there: ${device}: not on [^\n]*$`, "m"),
  );
  await assert.rejects(finetune(pruned, { ...options, device: "npu" as "cpu" }), /^PrunelabError: unknown device: npu/);
});

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import type { LoraConfig } from "./block.ts";
import { type Batch, type Network, openNetwork, type TrainedParts } from "./network.ts";
import { randomPrompt } from "./prompt.ts";

/** What torch's float64 autograd gives, by scripts/tools/training-gradients.py. */
interface Expected {
  readonly loss: number;
  readonly gradients: Record<string, { readonly norm: number; readonly product: number }>;
}

const expected = JSON.parse(await readFile("data/expected/training-gradients.json", "utf8")) as Record<
  "masked" | "norms" | "distill" | "lora" | "lora-masked" | "prompt",
  Expected
> & { readonly windows: number[][] };
const dense = await openCheckpointFile("data/tiny-gemma3");
const student = everySecondZero(dense);
const batch = batchOf(expected.windows);
const scale = 1 / batch.scored.length;

function everySecondZero(checkpoint: Checkpoint): Checkpoint {
  const linears = [...checkpoint.tensors.values()].filter(
    ({ name, shape }) => shape.length === 2 && name.includes(".layers."),
  );
  return {
    ...checkpoint,
    async read(name) {
      const tensor = await checkpoint.read(name);
      const index = linears.findIndex((linear) => linear.name === name);
      return index < 0 ? tensor : { ...tensor, data: tensor.data.map((value, i) => (i % 2 === index % 2 ? 0 : value)) };
    },
  };
}

function batchOf(windows: readonly (readonly number[])[]): Batch {
  const scored = windows.flatMap((ids, window) => ids.slice(1).map((label, position) => ({ window, position, label })));
  return { windows, scored };
}

/** The script's fixed sequence in [-1, 1). */
function vector(length: number, k: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((i * 7919 + k * 104729) % 1009) / 504.5 - 1);
}

function gradientsOf({ groups, names }: Network): Map<string, Float32Array> {
  return new Map(
    groups.flatMap(({ parameters }, group) =>
      parameters.map(({ gradient }, index) => [names[group]![index]!, gradient] as const),
    ),
  );
}

function compare(network: Network, { gradients }: Expected, keepsZeros = false): void {
  const own = gradientsOf(network);
  assert.deepEqual([...own.keys()].sort(), Object.keys(gradients).sort());
  const values = new Map(
    network.groups.flatMap(({ parameters }, group) =>
      parameters.map(({ values }, index) => [network.names[group]![index]!, values] as const),
    ),
  );
  for (const [index, [name, { norm, product }]] of Object.entries(gradients).entries()) {
    const gradient = own.get(name)!;
    const fixed = vector(gradient.length, index);
    let [squares, sum] = [0, 0];
    for (const [i, value] of gradient.entries()) {
      squares += value * value;
      sum += value * fixed[i]!;
    }
    assert.ok(Math.abs(Math.sqrt(squares) - norm) / norm < 1e-5, `norm of ${name}: ${Math.sqrt(squares)}, ${norm}`);
    assert.ok(Math.abs(sum - product) / norm < 1e-5, `${name}: ${sum}, ${product}, norm ${norm}`);
    if (keepsZeros) assert.ok(values.get(name)!.some((value) => value === 0));
  }
}

async function open(parts: TrainedParts): Promise<Network> {
  return openNetwork(student, expected.windows[0]!.length, parts);
}

for (const method of ["masked", "norms"] as const) {
  test(`${method}: loss and gradients are those of torch in float64`, async () => {
    const network = await open({ method });
    const loss = scale * (await network.lossAndGradient(batch, scale));
    assert.ok(Math.abs(loss - expected[method].loss) < 1e-5, `${loss}`);
    compare(network, expected[method], method === "masked");
    // Once more, through what was kept, and without gradients.
    assert.equal(scale * (await network.lossAndGradient(batch, scale)), loss);
    compare(network, expected[method]);
    assert.ok(Math.abs(scale * (await network.loss(batch)) - loss) < 1e-6);
    await network.release();
  });
}

test("distillation: loss and gradients are those of torch over the full vocabulary", async () => {
  const teacher = await openNetwork(dense, expected.windows[0]!.length);
  const targets = await teacher.teach(batch);
  await teacher.release();
  const network = await open({ method: "masked" });
  const mix = { teacher: targets, share: 0.75 };
  const loss = scale * (await network.lossAndGradient(batch, scale, { mix }));
  assert.ok(Math.abs(loss - expected.distill.loss) < 1e-5, `${loss}`);
  compare(network, expected.distill);
  await network.release();
});

for (const kind of ["lora", "lora-masked"] as const) {
  test(`${kind}: loss and gradients are those of torch in float64`, async () => {
    const lora: LoraConfig = {
      r: 4,
      lora_alpha: 8,
      lora_dropout: 0,
      target_modules: ["q_proj", "v_proj", "down_proj"],
      masked: kind === "lora-masked",
    };
    const network = await open({ method: "lora", lora, seed: 0 });
    let adapters = 0;
    for (const { parameters } of network.groups) {
      for (const { name, values } of parameters) {
        const k = adapters + (name.includes("lora_B") ? 1 : 0);
        values.set(vector(values.length, k).map((value) => Math.fround(0.1) * value));
        if (name.includes("lora_B")) adapters += 2;
      }
    }
    const loss = scale * (await network.lossAndGradient(batch, scale));
    assert.ok(Math.abs(loss - expected[kind].loss) < 1e-5, `${loss}`);
    compare(network, expected[kind]);
    await network.release();
  });
}

test("prompt: loss and gradients are those of torch in float64", async () => {
  const prompt = vector(3 * dense.config.hidden_size, 5).map((value) => value / 2);
  const network = await open({ method: "prompt", prompt });
  const loss = scale * (await network.lossAndGradient(batch, scale));
  assert.ok(Math.abs(loss - expected.prompt.loss) < 1e-5, `${loss}`);
  compare(network, expected.prompt);
  await network.release();
});

test("dropout: the same seed gives the same loss, another one another; without a seed nothing is dropped", async () => {
  const lora = { r: 4, lora_alpha: 8, lora_dropout: 0.5, target_modules: ["q_proj"], masked: false };
  const network = await open({ method: "lora", lora, seed: 0 });
  for (const { parameters } of network.groups)
    for (const { values } of parameters) values.set(vector(values.length, 1));
  const losses = [];
  for (const dropoutSeed of [1, 1, 2]) losses.push(await network.lossAndGradient(batch, scale, { dropoutSeed }));
  assert.equal(losses[0], losses[1]);
  assert.notEqual(losses[0], losses[2]);
  assert.ok(Math.abs((await network.loss(batch)) - (await network.lossAndGradient(batch, scale))) < 1e-3);
  await network.release();
});

test("a random prompt has the deviation of scaled embeddings and comes from its seed", async () => {
  const [a, b, c] = [await randomPrompt(dense, 4, 1), await randomPrompt(dense, 4, 1), await randomPrompt(dense, 4, 2)];
  assert.deepEqual(a, b);
  assert.notDeepEqual(a, c);
  assert.equal(a.length, 4 * dense.config.hidden_size);
});

test("target modules that match nothing are refused with the names there are", async () => {
  const lora = { r: 4, lora_alpha: 8, lora_dropout: 0, target_modules: ["query"], masked: false };
  await assert.rejects(
    open({ method: "lora", lora, seed: 0 }),
    /target modules match no linear layer: query; choose among q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj/,
  );
});

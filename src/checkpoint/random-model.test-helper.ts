/** Small random models of each family, the same ones that scripts/tools/make-family-logits.py makes, as folders on disk. */
import { readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tinyModel } from "../base/testing.test-helper.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { parseConfig } from "./config.ts";
import { float32ToBf16 } from "./half.ts";
import { openCheckpointFile } from "./open.ts";
import { writeSafetensors } from "./safetensors.ts";
import { elementCount, type Tensor, type TensorInfo } from "./tensor.ts";
import { modelTensors, weightOffset } from "./tensor-names.ts";

export interface ExpectedModel {
  readonly config: Record<string, unknown>;
  readonly prompts: readonly (readonly number[])[];
  /** After the last token of each prompt. */
  readonly lastLogits: readonly (readonly number[])[];
  /** Of each token of a prompt after the first. */
  readonly logprobs: readonly (readonly number[])[];
  readonly greedy: readonly (readonly number[])[];
}

/** By name; from transformers. */
export const expectedModels: Readonly<Record<string, ExpectedModel>> = JSON.parse(
  readFileSync(new URL("../../data/expected/family-logits.json", import.meta.url), "utf8"),
).models;

/** The tensors of a config; their numbers depend on their names and places alone. */
export function randomTensors(json: Readonly<Record<string, unknown>>): Tensor[] {
  const config = parseConfig(json, "random");
  return modelTensors(config).map(({ name, shape }) => fill(name, shape, weightOffset(config, name)));
}

function fill(name: string, shape: readonly number[], normOffset: number): Tensor {
  let seed = 0x811c9dc5;
  for (const byte of Buffer.from(name)) seed = Math.imul(seed ^ byte, 0x01000193);
  const values = Float32Array.from({ length: elementCount(shape) }, (_, index) => {
    let h = Math.imul(index, 2654435761) + seed;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    const unit = 2 * (((h ^ (h >>> 16)) >>> 0) / 2 ** 32) - 1;
    if (name.endsWith("norm.weight")) return 0.3 * unit + (1 - normOffset);
    if (name.endsWith("bias")) return 0.3 * unit;
    if (name.includes("embed") || name.startsWith("lm_head")) return 0.7 * unit;
    return (2 / Math.sqrt(shape.at(-1)!)) * unit;
  });
  return { name, shape, data: float32ToBf16(values) };
}

/** Writes a Hugging Face folder with the tiny Gemma's tokenizer, which none of the models fits, but exports need one. */
export async function writeModel(
  json: Readonly<Record<string, unknown>>,
  tensors: readonly Tensor[],
  folder?: string,
): Promise<string> {
  const path = folder ?? (await mkdtemp(join(tmpdir(), "prunelab-random-")));
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "config.json"), JSON.stringify(json));
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) await cp(join(tinyModel, name), join(path, name));
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  await writeSafetensors(
    join(path, "model.safetensors"),
    tensors as readonly TensorInfo[],
    async (name) => byName.get(name)!,
  );
  return path;
}

export async function randomModel(name: string): Promise<Checkpoint> {
  const { config } = expectedModels[name]!;
  return openCheckpointFile(await writeModel(config, randomTensors(config)), { name });
}

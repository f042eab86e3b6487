/** The forms that a model leaves in, a literal each. */
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { elementCount } from "../checkpoint/tensor.ts";
import { writeCheckpoint } from "../checkpoint/write.ts";
import { PrunelabError } from "../errors.ts";
import type { Form } from "./form.ts";
import { ggufForms } from "./gguf.ts";
import { onnxForms } from "./onnx.ts";

/** Header and tokenizer, roughly. */
const textBytes = 5e7;

function weightCount(checkpoint: Checkpoint): number {
  return [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

const bf16: Form = {
  name: "safetensors:bf16",
  summary: "Hugging Face folder, bfloat16: transformers, PEFT, TRL, vLLM, lm-eval",
  plan: (checkpoint) => ({ weights: ["model.safetensors"], bytes: 2 * weightCount(checkpoint) + textBytes }),
  write: (checkpoint, folder, onProgress) => writeCheckpoint(checkpoint, folder, { ...(onProgress && { onProgress }) }),
  check: async (checkpoint, folder) => {
    const again = await openCheckpointFile(folder);
    for (const name of checkpoint.tensors.keys()) {
      const [own, other] = [await checkpoint.read(name), await again.read(name)];
      if (Buffer.compare(bytesOf(own.data), bytesOf(other.data)) === 0) continue;
      throw new PrunelabError(`${join(folder, "model.safetensors")} is not what was written: ${name}; write it again`);
    }
  },
};

/** A pruned tensor's numbers may be a part of a larger buffer. */
function bytesOf({ buffer, byteOffset, byteLength }: Uint16Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** In the order of the help. */
export const exportForms: readonly Form[] = [bf16, ...onnxForms, ...ggufForms];

/** @throws PrunelabError if there is no such form. */
export function findForm(name: string): Form {
  const form = exportForms.find((form) => form.name === name);
  if (form) return form;
  if (/^gguf:(q[45]_1|q[245]_k(_[sml])?|i?q4_nl|iq4_xs)$/i.test(name)) {
    throw new PrunelabError(
      `${name} is not written: its blocks have an offset or no level at zero, so pruned weights would not stay zero; choose gguf:q4_0, gguf:q5_0 or gguf:q8_0`,
    );
  }
  throw new PrunelabError(`unknown form: ${name}; choose one of ${exportForms.map((form) => form.name).join(", ")}`);
}

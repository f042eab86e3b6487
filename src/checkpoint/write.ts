/** Writes a checkpoint as the Hugging Face folder that Python's transformers loads. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import { PrunelabError } from "../errors.ts";
import { listener, type OnProgress } from "../progress.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { configJson } from "./config.ts";
import { writeSafetensors } from "./safetensors.ts";

/**
 * Writes `config.json`, `generation_config.json`, `tokenizer.json`, `tokenizer_config.json` and `model.safetensors`
 * (bfloat16) into `folder`, which is made where it is missing; and `chat_template.jinja` if the checkpoint has its chat template there. Opening the folder again gives equal tensors.
 *
 * Each file appears whole or not at all, the weights last, so that a folder with `model.safetensors` is complete. Graphs that
 * `exportModel` wrote there for other weights are removed. One tensor is in memory at a time.
 *
 * @throws PrunelabError when the disk is full, the folder cannot be written, or the checkpoint cannot be read.
 */
export async function writeCheckpoint(
  checkpoint: Checkpoint,
  folder: string,
  options: { readonly onProgress?: OnProgress } = {},
): Promise<void> {
  const onProgress = listener(options.onProgress);
  if (checkpoint.config.num_virtual_tokens !== undefined) {
    throw new PrunelabError(
      `a checkpoint has no place for a prompt's virtual tokens: ${checkpoint.name}; write the adapter and the model without it`,
    );
  }
  const { tokenizer, tokenizerConfig, chatTemplate } = await checkpoint.tokenizer();
  const { chat_template: _, ...withoutTemplate } = tokenizerConfig;
  const texts = {
    "config.json": pretty(configJson(checkpoint.config)),
    "generation_config.json": pretty(await checkpoint.generationConfig()),
    "tokenizer.json": `${JSON.stringify(tokenizer)}\n`,
    "tokenizer_config.json": pretty(chatTemplate === undefined ? tokenizerConfig : withoutTemplate),
    ...(chatTemplate !== undefined && { "chat_template.jinja": chatTemplate }),
  };
  await writeSafetensors(
    join(folder, "model.safetensors"),
    checkpoint.tensors.values(),
    (name) => checkpoint.read(name),
    {
      onWritten: (done, total) => onProgress?.({ step: "write model.safetensors", done, total, unit: "bytes" }),
      beforeVisible: async () => {
        // One that another model left here would count before this one's.
        if (chatTemplate === undefined) await rm(join(folder, "chat_template.jinja"), { force: true });
        for (const [name, text] of Object.entries(texts)) await writeFileAtomic(join(folder, name), text);
        for (const name of await readdir(join(folder, "onnx")).catch(() => [])) {
          if (/^model(_\w+)?\.onnx(_data)?$/.test(name)) await rm(join(folder, "onnx", name), { force: true });
        }
      },
    },
  );
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

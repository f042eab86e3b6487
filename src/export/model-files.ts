/** The files beside a model's weights: config, tokenizer and chat template, as transformers reads them. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import { readJsonObject } from "../base/json.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { configJson } from "../checkpoint/config.ts";
import { sentencePieceModel } from "./sentencepiece.ts";

/**
 * Writes `config.json`, `generation_config.json`, `tokenizer.json`, `tokenizer_config.json`, `tokenizer.model` for a tokenizer of SentencePiece's kind
 * (llama.cpp's converter needs it) and `chat_template.jinja`, where transformers 5 keeps the template that other readers look for in
 * `tokenizer_config.json`.
 *
 * @param fields Further fields of `config.json`, or other values.
 */
export async function writeModelFiles(
  checkpoint: Checkpoint,
  folder: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { tokenizer, tokenizerConfig } = await checkpoint.tokenizer();
  // A folder may hold graphs of the same model for transformers.js.
  const before = await readJsonObject(join(folder, "config.json")).catch(() => undefined);
  const kept = before?.["transformers.js_config"] as { model_digest?: unknown } | undefined;
  const graphs = kept?.model_digest === (await checkpoint.digest()) ? kept : undefined;
  const config = {
    ...configJson(checkpoint.config),
    ...(graphs !== undefined && { "transformers.js_config": graphs }),
    ...fields,
  };
  const pieces = await sentencePieceModel(checkpoint);
  const template = tokenizerConfig.chat_template;
  const files: Record<string, string | Uint8Array | undefined> = {
    "generation_config.json": pretty(await checkpoint.generationConfig()),
    "tokenizer.json": `${JSON.stringify(tokenizer)}\n`,
    "tokenizer_config.json": pretty(tokenizerConfig),
    "tokenizer.model": pieces,
    "chat_template.jinja": typeof template === "string" ? template : undefined,
    "config.json": pretty(config),
  };
  for (const [name, content] of Object.entries(files)) {
    // One that another model left here would count as this one's.
    if (content === undefined) await rm(join(folder, name), { force: true });
    else await writeFileAtomic(join(folder, name), content);
  }
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

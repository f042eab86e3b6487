/** Writes the folder that transformers.js loads: config, tokenizer and the generation graph with its weights. */
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { configJson } from "../checkpoint/config.ts";
import { listener, type OnProgress } from "../progress.ts";
import { weightsFile } from "./decoder.ts";
import { buildGraph } from "./graphs.ts";
import { linkWeights } from "./weights.ts";

/**
 * Writes `folder` for `AutoModelForCausalLM.from_pretrained(folder)` of `@huggingface/transformers`: `config.json` (with
 * `transformers.js_config`), `generation_config.json`, `tokenizer.json`, `tokenizer_config.json`, `onnx/model.onnx` and `onnx/model.onnx_data`
 * (float32). The graph takes a KV cache and `num_logits_to_keep` by transformers.js' own names. The weights file may share its bytes on disk
 * with the cache's copy.
 *
 * @throws PrunelabError when a file cannot be written.
 */
export async function exportModel(
  checkpoint: Checkpoint,
  folder: string,
  { onProgress }: { onProgress?: OnProgress } = {},
): Promise<void> {
  const { tokenizer, tokenizerConfig } = await checkpoint.tokenizer();
  await linkWeights(checkpoint, join(folder, "onnx", weightsFile), listener(onProgress));
  await writeFileAtomic(join(folder, "onnx", "model.onnx"), buildGraph(checkpoint.config, "generate"));
  const json = (name: string, value: unknown) =>
    writeFileAtomic(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  await json("tokenizer_config.json", tokenizerConfig);
  await json("tokenizer.json", tokenizer);
  await json("generation_config.json", await checkpoint.generationConfig());
  await json("config.json", {
    ...configJson(checkpoint.config),
    "transformers.js_config": { dtype: "fp32", use_external_data_format: true },
  });
}

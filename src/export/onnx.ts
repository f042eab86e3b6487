/** The folder that transformers.js loads: config, tokenizer and the generation graph with its weights. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { configJson } from "../checkpoint/config.ts";
import { PrunelabError } from "../errors.ts";
import { weightBytes, weightLayout, weightsFile } from "../model/decoder.ts";
import { buildGraph } from "../model/graphs.ts";
import { linkWeights } from "../model/weights.ts";
import type { OnProgress } from "../progress.ts";
import type { Form } from "./form.ts";

/** Graph, config and tokenizer, roughly. */
const otherBytes = 5e7;

export const onnxFp32: Form = {
  name: "onnx:fp32",
  summary: "folder for transformers.js, float32: Node and browsers",
  plan: ({ config }) => ({
    weights: ["onnx/model.onnx", `onnx/${weightsFile}`],
    bytes: weightBytes(weightLayout(config)) + otherBytes,
  }),
  write,
  check: async ({ config }, folder) => {
    const path = join(folder, "onnx", weightsFile);
    const { size } = await stat(path);
    if (size === weightBytes(weightLayout(config))) return;
    throw new PrunelabError(`${path} is not what was written: it has ${size} bytes; write it again`);
  },
};

/**
 * Writes `folder` for `AutoModelForCausalLM.from_pretrained(folder)` of `@huggingface/transformers`: `config.json` (with
 * `transformers.js_config`), `generation_config.json`, `tokenizer.json`, `tokenizer_config.json`, `onnx/model.onnx` and `onnx/model.onnx_data`
 * (float32). The graph takes a KV cache and `num_logits_to_keep` by transformers.js' own names. The weights file may share its bytes on disk
 * with the cache's copy.
 *
 * @throws PrunelabError when a file cannot be written.
 */
async function write(checkpoint: Checkpoint, folder: string, onProgress?: OnProgress): Promise<void> {
  const { tokenizer, tokenizerConfig } = await checkpoint.tokenizer();
  await linkWeights(checkpoint, join(folder, "onnx", weightsFile), onProgress);
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

/** The files around the graphs in a folder for transformers.js: config and tokenizer, which all forms of one model share. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { writeModelFiles } from "./model-files.ts";

/** By transformers.js' name of the dtype, what it puts after `model` in the graph's file name; the first that is there is the default. */
export const suffixes = { fp32: "", q8: "_quantized", q4: "_q4", fp16: "_fp16", q4f16: "_q4f16" } as const;

export type Dtype = keyof typeof suffixes;

export const graphFile = (dtype: Dtype): string => `model${suffixes[dtype]}.onnx`;
/** transformers.js finds it by this name. */
export const dataFile = (dtype: Dtype): string => `${graphFile(dtype)}_data`;

/** The forms that a folder holds. */
export async function dtypesIn(folder: string): Promise<Dtype[]> {
  const found: Dtype[] = [];
  for (const dtype of Object.keys(suffixes) as Dtype[]) {
    if (await stat(join(folder, "onnx", graphFile(dtype))).catch(() => undefined)) found.push(dtype);
  }
  return found;
}

/** @throws PrunelabError where the folder has other forms of another model, which would then share a config and a tokenizer with this one. */
export async function refuseOtherModel(checkpoint: Checkpoint, folder: string, dtype: Dtype): Promise<void> {
  const others = (await dtypesIn(folder)).filter((other) => other !== dtype);
  if (others.length === 0) return;
  const text = await readFile(join(folder, "config.json"), "utf8").catch(() => "{}");
  if (digestIn(text) === (await checkpoint.digest())) return;
  throw new PrunelabError(
    `another model is there already: ${join(folder, "onnx", graphFile(others[0]!))}; choose another folder or remove it`,
  );
}

function digestIn(config: string): unknown {
  try {
    return JSON.parse(config)["transformers.js_config"]?.model_digest;
  } catch {
    return undefined;
  }
}

/** Writes the files around the graphs that are there. */
export async function writeTexts(checkpoint: Checkpoint, folder: string): Promise<void> {
  const dtypes = await dtypesIn(folder);
  await writeModelFiles(checkpoint, folder, {
    "transformers.js_config": {
      dtype: dtypes[0],
      ...(dtypes.includes("q8") && { device_config: { wasm: { dtype: "q8" } } }),
      use_external_data_format: true,
      // Version 3 takes the types of keys and values from here, version 4 from the graph.
      kv_cache_dtype: { fp16: "float16", q4f16: "float16" },
      model_digest: await checkpoint.digest(),
    },
  });
}

/** The forms for transformers.js: a graph for generation, its weights, and the files around them. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createFileAtomic, writeFileAtomic } from "../base/atomic.ts";
import { type Checkpoint, readValues } from "../checkpoint/checkpoint.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { modelTensors, weightOffset } from "../checkpoint/tensor-names.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { weightBytes, weightLayout, weightsFile } from "../model/decoder.ts";
import { buildGraph, type CacheType } from "../model/graphs.ts";
import { linkWeights } from "../model/weights.ts";
import { empty, int64, openSession } from "../onnx/session.ts";
import type { OnProgress } from "../progress.ts";
import { blockSize, liesOnGrid } from "./block-steps.ts";
import type { Form } from "./form.ts";
import { buildFormGraph, formLayout, type MatrixForms, type StoredTensor, sizeOf } from "./form-graph.ts";
import { blockScaled, type MatrixForm, plain, rowScaled, unpacked } from "./matrix-forms.ts";
import { type Dtype, dataFile, graphFile, refuseOtherModel, writeTexts } from "./transformers-js.ts";

/** Graph, config and tokenizer, roughly. */
const otherBytes = 5e7;

interface OnnxForm {
  readonly dtype: Dtype;
  readonly summary: string;
  readonly linear: MatrixForm;
  /** Of linear layers whose weights are multiples of a step in 8 bits already. */
  readonly onGrid?: MatrixForm;
  /** Embedding and head. */
  readonly table: MatrixForm;
  readonly cacheType: CacheType;
}

const packed: readonly OnnxForm[] = [
  {
    dtype: "fp16",
    summary: "folder for transformers.js, float16 products: GPUs",
    linear: plain("float16"),
    table: plain("float16"),
    cacheType: "float16",
  },
  {
    dtype: "q8",
    summary: "folder for transformers.js, 8 bits: browsers without a GPU, which take it by default",
    linear: rowScaled,
    onGrid: unpacked,
    table: rowScaled,
    cacheType: "float32",
  },
  {
    dtype: "q4",
    summary: "folder for transformers.js, linear layers in 4 bits and the embedding in 8: Node",
    linear: blockScaled(4, "float32"),
    table: blockScaled(8, "float32"),
    cacheType: "float32",
  },
  {
    dtype: "q4f16",
    summary: "folder for transformers.js, the same with float16 products: GPUs",
    linear: blockScaled(4, "float16"),
    table: blockScaled(8, "float16"),
    cacheType: "float16",
  },
];

const fp32: Form = {
  name: "onnx:fp32",
  summary: "folder for transformers.js, float32: Node and browsers",
  plan: ({ config }) => ({
    weights: ["onnx/model.onnx", `onnx/${weightsFile}`],
    bytes: weightBytes(weightLayout(config)) + otherBytes,
  }),
  // The weights file may share its bytes on disk with the cache's copy.
  write: async (checkpoint, folder, onProgress) => {
    await refuseOtherModel(checkpoint, folder, "fp32");
    await linkWeights(checkpoint, join(folder, "onnx", weightsFile), onProgress);
    await writeFileAtomic(join(folder, "onnx", "model.onnx"), buildGraph(checkpoint.config, "generate"));
    await writeTexts(checkpoint, folder);
  },
  check: async ({ config }, folder) => {
    const path = join(folder, "onnx", weightsFile);
    const { size } = await stat(path);
    if (size === weightBytes(weightLayout(config))) return;
    throw new PrunelabError(`${path} is not what was written: it has ${size} bytes; write it again`);
  },
};

/**
 * Folders for `AutoModelForCausalLM.from_pretrained(folder, { dtype })` of `@huggingface/transformers`. The graphs take a KV cache and
 * `num_logits_to_keep` by transformers.js' own names. Several forms of one model may share a folder.
 */
export const onnxForms: readonly Form[] = [fp32, ...packed.map(formOf)];

function formOf(form: OnnxForm): Form {
  const { dtype, summary, cacheType } = form;
  return {
    name: `onnx:${dtype}`,
    summary,
    plan: ({ config }) => {
      refuseRows(config, form);
      const { layout } = formLayout(config, plainForms(config, form));
      return {
        weights: [`onnx/${graphFile(dtype)}`, `onnx/${dataFile(dtype)}`],
        bytes: weightBytes(layout) + otherBytes,
      };
    },
    write: async (checkpoint, folder, onProgress) => {
      await refuseOtherModel(checkpoint, folder, dtype);
      const { config } = checkpoint;
      const forms = await formsFor(checkpoint, form);
      await writeData(checkpoint, forms, join(folder, "onnx", dataFile(dtype)), onProgress);
      const graph = buildFormGraph(config, { forms, dataFile: dataFile(dtype), cacheType });
      await writeFileAtomic(join(folder, "onnx", graphFile(dtype)), graph);
      await writeTexts(checkpoint, folder);
    },
    check: ({ config }, folder) => runOnce(config, join(folder, "onnx"), form),
  };
}

const isTable = (name: string) => !name.startsWith("model.layers.");

function matrices(config: ModelConfig) {
  return modelTensors(config).filter(({ shape }) => shape.length === 2);
}

function plainForms(config: ModelConfig, { linear, table }: OnnxForm): MatrixForms {
  return new Map(matrices(config).map(({ name }) => [name, isTable(name) ? table : linear]));
}

function refuseRows(config: ModelConfig, form: OnnxForm): void {
  const forms = plainForms(config, form);
  for (const { name, shape } of matrices(config)) {
    if (!forms.get(name)!.inBlocks || shape[1]! % blockSize === 0) continue;
    throw new PrunelabError(
      `rows are not a multiple of ${blockSize} long: ${name}: ${shape[1]}; onnx:${form.dtype} needs that, choose onnx:q8 or onnx:fp16`,
    );
  }
}

async function formsFor(checkpoint: Checkpoint, form: OnnxForm): Promise<MatrixForms> {
  const forms = new Map(plainForms(checkpoint.config, form));
  if (!form.onGrid) return forms;
  for (const { name, shape } of matrices(checkpoint.config)) {
    if (isTable(name)) continue;
    // Without what bfloat16 cannot hold: a GGUF file's own blocks are no grid that has to be kept.
    const { data } = await checkpoint.read(name);
    if (liesOnGrid(bf16ToFloat32(data), shape[1]!, 8)) forms.set(name, form.onGrid);
  }
  return forms;
}

async function writeData(
  checkpoint: Checkpoint,
  forms: MatrixForms,
  path: string,
  onProgress?: OnProgress,
): Promise<void> {
  const { tensors, layout } = formLayout(checkpoint.config, forms);
  const total = weightBytes(layout);
  await createFileAtomic(path, async (file) => {
    for (const tensor of tensors) {
      const parts = await encodeTensor(checkpoint, tensor);
      for (const [index, name] of tensor.parts.entries()) {
        const { buffer, byteOffset, byteLength } = parts[index]!;
        const at = layout.get(name)!.offset;
        await file.write(new Uint8Array(buffer, byteOffset, byteLength), 0, byteLength, at);
        onProgress?.({ step: `write ${path.split("/").at(-1)}`, done: at + byteLength, total, unit: "bytes" });
      }
    }
  });
}

async function encodeTensor(checkpoint: Checkpoint, { name, shape, form }: StoredTensor) {
  const values = await readValues(checkpoint, name);
  if (form) return form.encode(values, sizeOf(shape));
  const plus = weightOffset(checkpoint.config, name);
  return [values.map((value) => value + plus)];
}

/** Opens what was written and asks it for one token. */
async function runOnce(config: ModelConfig, folder: string, { dtype, cacheType }: OnnxForm): Promise<void> {
  const path = join(folder, graphFile(dtype));
  const problem = async (): Promise<string | undefined> => {
    const session = await openSession(await readFile(path), { folder });
    try {
      const past = [config.num_key_value_heads, 0, config.head_dim];
      const names = session.inputNames.filter((name) => name.startsWith("past_key_values."));
      const { logits } = await session.run({
        input_ids: int64([config.bos_token_id ?? 0], [1, 1]),
        attention_mask: int64([1], [1, 1]),
        position_ids: int64([0], [1, 1]),
        num_logits_to_keep: int64([1], []),
        ...Object.fromEntries(names.map((name) => [name, empty(cacheType, [1, ...past])])),
      });
      return (logits!.data as Float32Array).every(Number.isFinite) ? undefined : "its logits are not finite";
    } finally {
      await session.release();
    }
  };
  const found = await problem().catch((error) => messageOf(error));
  if (found) throw new PrunelabError(`${path} does not run: ${found}; write it again`);
}

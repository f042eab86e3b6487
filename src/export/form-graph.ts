/** The graph for generation with its matrices in another form than float32; the decoder's code is the same. */
import type { ModelConfig } from "../checkpoint/config.ts";
import { modelTensors } from "../checkpoint/tensor-names.ts";
import { addGeneration, type CacheType } from "../model/graphs.ts";
import {
  type Attribute,
  type ExternalWeight,
  GraphBuilder,
  placeWeights,
  type Value,
  type WeightLayout,
} from "../onnx/graph.ts";
import type { MatrixForm, MatrixSize } from "./matrix-forms.ts";

/** Which form each matrix of a model has, by its name; the other tensors, norms and biases, are float32. */
export type MatrixForms = ReadonlyMap<string, MatrixForm>;

/** A tensor of a model, and what the file has of it. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly form: MatrixForm | undefined;
  /** Names in the file. */
  readonly parts: readonly string[];
}

/** All tensors of a model in the order of the file, and the places of their parts in it. */
export interface FormLayout {
  readonly tensors: readonly StoredTensor[];
  readonly layout: WeightLayout;
}

export function formLayout(config: ModelConfig, forms: MatrixForms): FormLayout {
  const placed: (Omit<ExternalWeight, "offset"> & { readonly name: string })[] = [];
  const tensors: StoredTensor[] = modelTensors(config).map(({ name, shape }) => {
    const form = forms.get(name);
    const stored = form ? form.stored(sizeOf(shape)) : [{ part: "", shape, type: "float32" as const }];
    for (const { part, ...rest } of stored) placed.push({ name: name + part, ...rest });
    return { name, shape, form, parts: stored.map(({ part }) => name + part) };
  });
  return { tensors, layout: placeWeights(placed) };
}

export function sizeOf([rows, columns]: readonly number[]): MatrixSize {
  return { rows: rows!, columns: columns! };
}

/**
 * Builds the graph `generate` of model/graphs.ts. Norms, attention, activations and the sums between blocks are float32 whatever the form, since
 * Gemma's exceed float16.
 *
 * @param dataFile - the name of the file beside it.
 */
export function buildFormGraph(
  config: ModelConfig,
  { forms, dataFile, cacheType }: { forms: MatrixForms; dataFile: string; cacheType: CacheType },
): Uint8Array {
  const graph = new FormGraph(formLayout(config, forms), dataFile);
  addGeneration(graph, config, cacheType);
  return graph.encode(`${config.model_type}-generate`);
}

const handle = "matrix ";

/** Gives out handles for matrices, and puts the form's operators where one is multiplied or rows of it are looked up. */
class FormGraph extends GraphBuilder {
  private readonly matrices: ReadonlyMap<string, StoredTensor>;

  constructor({ tensors, layout }: FormLayout, dataFile: string) {
    super(layout, dataFile);
    this.matrices = new Map(tensors.filter(({ form }) => form).map((tensor) => [handle + tensor.name, tensor]));
  }

  override weight(name: string): Value {
    return this.matrices.has(handle + name) ? handle + name : super.weight(name);
  }

  override op(type: string, inputs: readonly Value[], attributes: Record<string, Attribute> = {}, domain = ""): Value {
    const matrix = inputs.map((input) => this.matrices.get(input)).find(Boolean);
    if (!matrix) return super.op(type, inputs, attributes, domain);
    const { form, shape } = matrix;
    const parts = matrix.parts.map((part) => super.weight(part));
    if (type === "Gather") return form!.rows(this, inputs[1]!, parts, sizeOf(shape));
    if (type !== "Gemm") throw new Error(`internal: no form of a matrix for ${type}`);
    const product = form!.linear(this, inputs[0]!, parts, sizeOf(shape));
    return inputs[2] === undefined ? product : super.op("Add", [product, inputs[2]]);
  }
}

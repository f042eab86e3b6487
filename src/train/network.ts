/** A model in training: its weights in float32, forward and backward passes block by block, and the loss of a batch. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { LayerType, ModelConfig } from "../checkpoint/config.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { blockTensors, embeddingName, headName, weightOffset } from "../checkpoint/tensor-names.ts";
import { PrunelabError } from "../errors.ts";
import { embeddingScale, windowOf } from "../model/decoder.ts";
import { type BlockWeights, causalMask, readBlock } from "../model/run-block.ts";
import { type Device, type Feeds, float32, int64, type Outputs, openSession, type Session } from "../onnx/session.ts";
import {
  type BlockTraining,
  buildBlockTraining,
  type LoraConfig,
  linearLayers,
  loraNames,
  loraTargets,
} from "./block.ts";
import { openTrainingHead, type TrainingHead } from "./head.ts";
import { openParameters, type ParameterGroup } from "./parameters.ts";
import { uniform } from "./random.ts";

/** What is trained, by the method's name. */
export type TrainedParts =
  | { readonly method: "masked" | "norms" }
  | { readonly method: "lora"; readonly lora: LoraConfig; readonly seed: number }
  | { readonly method: "prompt"; readonly prompt: Float32Array };

/** Windows of one length, and the positions at which they are scored. */
export interface Batch {
  readonly windows: readonly (readonly number[])[];
  readonly scored: readonly ScoredPosition[];
}

/** A position after which a token is to be predicted. */
export interface ScoredPosition {
  readonly window: number;
  readonly position: number;
  readonly label: number;
}

/** What a teacher says of a batch: for each scored position t = E[W], and the negative of its entropy. */
export interface TeacherTargets {
  readonly expected: Float32Array;
  readonly negativeEntropy: Float32Array;
}

/** What the loss is made of: (1 − share) × cross-entropy with the labels + share × KL divergence from the teacher. */
export interface Mix {
  readonly teacher: TeacherTargets;
  readonly share: number;
}

interface Embeddings {
  readonly embedding: Float32Array;
  readonly head: Float32Array;
}

export interface Network {
  readonly config: ModelConfig;
  /** The embedding and the head's weight, to share with another network of equal ones. */
  readonly embeddings: Embeddings;
  /** Parameters by block, in the order of layers, then those outside the blocks. */
  readonly groups: readonly ParameterGroup[];
  /** Parameter names as the checkpoint or the adapter has them, in the order of `groups`. */
  readonly names: readonly (readonly string[])[];
  /** Sum of losses over the scored positions, without gradients. */
  loss(batch: Batch, mix?: Mix): Promise<number>;
  /** The same; writes the gradient of `scale` × that sum to the parameters. */
  lossAndGradient(
    batch: Batch,
    scale: number,
    options?: { readonly mix?: Mix | undefined; readonly dropoutSeed?: number },
  ): Promise<number>;
  /** What this model, as a teacher, says of a batch. */
  teach(batch: Batch): Promise<TeacherTargets>;
  release(): Promise<void>;
}

interface Layer {
  readonly type: LayerType;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly feeds: Feeds;
  /** Where gradients go, by output name. */
  readonly gradients: Feeds;
}

interface Graphs {
  readonly forward: Session;
  readonly backward: Session;
  readonly saved: readonly string[];
}

/**
 * @param tokens Length of the windows, without a prompt's virtual tokens.
 * @param parts Nothing is trained unless given: a teacher.
 * @throws PrunelabError if LoRA's targets match no linear layer.
 */
export async function openNetwork(
  checkpoint: Checkpoint,
  tokens: number,
  parts?: TrainedParts,
  {
    accumulates = false,
    embeddings,
    device = "cpu",
  }: { readonly accumulates?: boolean; readonly embeddings?: Embeddings; readonly device?: Device } = {},
): Promise<Network> {
  const { config } = checkpoint;
  if (config.final_logit_softcapping !== null) {
    throw new PrunelabError(`training is not for models that cap their logits: ${checkpoint.name}; choose another`);
  }
  const size = config.hidden_size;
  const read = async (name: string) => bf16ToFloat32((await checkpoint.read(name)).data);
  const embedding = embeddings?.embedding ?? (await read(embeddingName));
  const headWeight =
    embeddings?.head ?? (headName(config) === embeddingName ? embedding : await read(headName(config)));
  let norm = await readVector(checkpoint, "model.norm.weight");
  const prompt = parts?.method === "prompt" ? parts.prompt : undefined;
  const virtual = prompt ? prompt.length / size : 0;
  const length = virtual + tokens;
  const training = trainingOf(config, parts);

  const groups: ParameterGroup[] = [];
  const names: string[][] = [];
  const layers: Layer[] = [];
  for (const [layer, type] of config.layer_types.entries()) {
    const weights: BlockWeights = await readBlock(checkpoint, layer);
    const initial = initialValues(config, layer, weights, training, parts);
    const gradients: Feeds = {};
    if (initial.length > 0) {
      const group = await openParameters(initial, { keepZeros: parts?.method === "masked", accumulates });
      for (const { name, values, gradient } of group.parameters) {
        weights.set(name, values);
        gradients[`gradient.${name}`] = float32(gradient, shapeOf(config, name, training));
      }
      groups.push(group);
      names.push(initial.map(({ name }) => `model.layers.${layer}.${name}`));
    }
    const feeds: Feeds = {};
    for (const [name, values] of weights) feeds[name] = float32(values, shapeOf(config, name, training));
    layers.push({ type, weights, feeds, gradients });
  }
  let outside: ParameterGroup | undefined;
  if (parts?.method === "norms" || prompt) {
    const own = prompt ? { name: "prompt_embeddings", values: prompt } : { name: "model.norm.weight", values: norm };
    outside = await openParameters([own], { keepZeros: false, accumulates });
    groups.push(outside);
    names.push([own.name]);
    if (!prompt) norm = outside.parameters[0]!.values;
  }
  const head: TrainingHead = openTrainingHead(config, headWeight, norm, {
    trainsNorm: parts?.method === "norms",
    device,
  });

  const opened = new Map<LayerType, Promise<Graphs>>();
  const graphsOf = (type: LayerType) => {
    const graphs = opened.get(type) ?? openGraphs(config, type, length, training, device);
    opened.set(type, graphs);
    return graphs;
  };
  // Kept from step to step: arrays of their own each time would keep the garbage collector busy.
  let results: Outputs[] = [];
  let windowsBefore = 0;

  const common = (windows: number): Omit<Feeds, "mask"> => {
    const positions = Array.from({ length: windows * length }, (_, index) => index % length);
    return { position_ids: int64(positions, [windows, length]) };
  };
  const masks = new Map<LayerType, Feeds[string]>();
  const maskOf = (type: LayerType) => {
    const mask = masks.get(type) ?? causalMask(length, windowOf(config, type) ?? length);
    masks.set(type, mask);
    return mask;
  };

  /** Hidden states before the first block, `[windows × length, hidden]`. */
  const embed = (windows: Batch["windows"]): Float32Array => {
    const hidden = new Float32Array(windows.length * length * size);
    const scale = embeddingScale(config);
    for (const [window, ids] of windows.entries()) {
      const start = window * length * size;
      if (prompt) hidden.set(outside!.parameters[0]!.values, start);
      for (const [position, id] of ids.entries()) {
        const at = start + (virtual + position) * size;
        for (let i = 0; i < size; i++) hidden[at + i] = embedding[id * size + i]! * scale;
      }
    }
    return hidden;
  };

  const forward = async (windows: Batch["windows"], keep: boolean, dropoutSeed: number | undefined) => {
    if (windows.length !== windowsBefore) results = [];
    windowsBefore = windows.length;
    const shared = common(windows.length);
    const shape = [windows.length, length, size];
    let hidden = embed(windows);
    const inputs: Float32Array[] = [];
    for (const [index, { type, feeds }] of layers.entries()) {
      const { forward: session, saved } = await graphsOf(type);
      const own = {
        ...feeds,
        ...shared,
        mask: maskOf(type),
        hidden: float32(hidden, shape),
        ...dropout(index, windows.length, dropoutSeed),
      };
      inputs.push(hidden);
      // One layer's results serve all where nothing is kept for the way back; the hidden states then alternate between two.
      const place = keep ? index : index % 2;
      const before = results[place];
      const outputs = ["hidden_out", ...(keep ? saved.map((value) => `saved.${value}`) : [])];
      const reusable = before && outputs.every((name) => before[name]);
      const now: Outputs = reusable
        ? await session.run(own, Object.fromEntries(outputs.map((name) => [name, before[name]!])))
        : await session.run(own, outputs);
      results[place] = now;
      hidden = now.hidden_out!.data as Float32Array;
    }
    return { hidden, inputs, shared, shape };
  };

  const dropout = (layer: number, windows: number, seed: number | undefined): Feeds => {
    const { lora } = training;
    if (!lora || lora.masked || lora.lora_dropout === 0) return {};
    const feeds: Feeds = {};
    for (const { name, in: columns } of loraTargets(config, lora)) {
      const values = new Float32Array(windows * length * columns);
      if (seed === undefined) values.fill(1);
      else {
        const random = uniform(`${seed} ${layer} ${name}`);
        const kept = 1 / (1 - lora.lora_dropout);
        for (let i = 0; i < values.length; i++) values[i] = random() < lora.lora_dropout ? 0 : kept;
      }
      feeds[`dropout.${name}`] = float32(values, [windows * length, columns]);
    }
    return feeds;
  };

  const rowsOf = ({ scored }: Batch) => scored.map(({ window, position }) => window * length + virtual + position);
  const gather = (hidden: Float32Array, rows: readonly number[]) => {
    const own = new Float32Array(rows.length * size);
    for (const [index, row] of rows.entries()) own.set(hidden.subarray(row * size, (row + 1) * size), index * size);
    return own;
  };
  /** The mix's t, `[rows, hidden]`, and what the loss lacks, which does not depend on the model. */
  const targetsOf = ({ scored }: Batch, mix: Mix | undefined) => {
    const share = mix?.share ?? 0;
    const targets = new Float32Array(scored.length * size);
    let constant = 0;
    for (const [row, { label }] of scored.entries()) {
      const at = row * size;
      for (let i = 0; i < size; i++) {
        const own = (1 - share) * headWeight[label * size + i]!;
        targets[at + i] = mix ? own + share * mix.teacher.expected[at + i]! : own;
      }
      if (mix) constant += share * mix.teacher.negativeEntropy[row]!;
    }
    return { targets, constant };
  };

  return {
    config,
    embeddings: { embedding, head: headWeight },
    groups,
    names,
    async loss(batch, mix) {
      const { hidden } = await forward(batch.windows, false, undefined);
      const { targets, constant } = targetsOf(batch, mix);
      return (await head.loss(gather(hidden, rowsOf(batch)), targets)) + constant;
    },
    async teach(batch) {
      const { hidden } = await forward(batch.windows, false, undefined);
      return head.teach(gather(hidden, rowsOf(batch)));
    },
    async lossAndGradient(batch, scale, { mix, dropoutSeed } = {}) {
      const { hidden, inputs, shared, shape } = await forward(batch.windows, true, dropoutSeed);
      const rows = rowsOf(batch);
      const { targets, constant } = targetsOf(batch, mix);
      const { loss, gradient: own, norm } = await head.lossAndGradient(gather(hidden, rows), targets, scale);
      if (norm) outside!.parameters[0]!.gradient.set(norm);
      let gradient: Float32Array = new Float32Array(hidden.length);
      for (const [index, row] of rows.entries()) {
        // A row may be scored by several labels.
        for (let i = 0; i < size; i++) gradient[row * size + i]! += own[index * size + i]!;
      }
      for (let index = layers.length - 1; index >= 0; index--) {
        const { type, feeds, gradients } = layers[index]!;
        const { backward: session, saved } = await graphsOf(type);
        const all: Feeds = {
          ...feeds,
          ...shared,
          ...dropout(index, batch.windows.length, dropoutSeed),
          mask: maskOf(type),
          hidden: float32(inputs[index]!, shape),
          gradient: float32(gradient, [shape[0]! * length, size]),
        };
        for (const value of saved) all[value] = results[index]![`saved.${value}`]!;
        const needed = Object.fromEntries(Object.entries(all).filter(([name]) => session.inputNames.includes(name)));
        const outputs = await session.run(needed, { ...gradients, "gradient.hidden": null });
        gradient = outputs["gradient.hidden"]!.data as Float32Array;
      }
      if (prompt) {
        const total = outside!.parameters[0]!.gradient.fill(0);
        for (let window = 0; window < batch.windows.length; window++) {
          const start = window * length * size;
          for (let i = 0; i < total.length; i++) total[i]! += gradient[start + i]!;
        }
      }
      return loss + constant;
    },
    async release() {
      for (const graphs of opened.values()) {
        const { forward, backward } = await graphs;
        await forward.release();
        await backward.release();
      }
      await head.release();
    },
  };
}

/** Names of what is trained in a block of any layer. */
export function trainingOf(config: ModelConfig, parts: TrainedParts | undefined): BlockTraining {
  if (parts?.method === "masked") return { trained: linearLayers(config).map(({ name }) => `${name}.weight`) };
  if (parts?.method === "norms") {
    return {
      trained: blockTensors(config)
        .filter(({ name }) => name.endsWith("norm.weight"))
        .map(({ name }) => name),
    };
  }
  if (parts?.method !== "lora") return { trained: [] };
  const targets = loraTargets(config, parts.lora);
  if (targets.length === 0) {
    const known = linearLayers(config).map(({ name }) => name.split(".").at(-1)!);
    throw new PrunelabError(
      `target modules match no linear layer: ${parts.lora.target_modules.join(", ")}; choose among ${known.join(", ")}`,
    );
  }
  return { trained: targets.flatMap(({ name }) => Object.values(loraNames(name))), lora: parts.lora };
}

function shapeOf(config: ModelConfig, name: string, { lora }: BlockTraining): number[] {
  const own = blockTensors(config).find((tensor) => tensor.name === name);
  if (own) return [...own.shape];
  const target = linearLayers(config).find((linear) => name.startsWith(`${linear.name}.lora_`))!;
  return name === loraNames(target.name).a ? [lora!.r, target.in] : [target.out, lora!.r];
}

/** What is trained in a block, before training. LoRA's A is Kaiming-uniform with a = √5, as in PEFT: within ±1/√in; B is zero. */
function initialValues(
  config: ModelConfig,
  layer: number,
  weights: BlockWeights,
  { trained, lora }: BlockTraining,
  parts: TrainedParts | undefined,
) {
  return trained.map((name) => {
    const before = weights.get(name);
    if (before) return { name, values: before };
    const shape = shapeOf(config, name, { trained, ...(lora && { lora }) });
    const values = new Float32Array(shape[0]! * shape[1]!);
    if (name.includes(".lora_A.") && parts?.method === "lora") {
      const random = uniform(`${parts.seed} ${layer} ${name}`);
      const bound = 1 / Math.sqrt(shape[1]!);
      for (let i = 0; i < values.length; i++) values[i] = (2 * random() - 1) * bound;
    }
    return { name, values };
  });
}

/** A vector as the graphs take it: a norm's as what it multiplies by. */
export async function readVector(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  const values = bf16ToFloat32((await checkpoint.read(name)).data);
  const offset = weightOffset(checkpoint.config, name);
  return offset === 0 ? values : values.map((value) => value + offset);
}

async function openGraphs(
  config: ModelConfig,
  type: LayerType,
  tokens: number,
  training: BlockTraining,
  device: Device,
): Promise<Graphs> {
  const { forward, backward, saved } = buildBlockTraining(config, type, tokens, training);
  return { forward: await openSession(forward, { device }), backward: await openSession(backward, { device }), saved };
}

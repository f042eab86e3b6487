/** Runs windows of tokens through one block at a time, with that block's weights alone in memory. */
import { type Checkpoint, readValues } from "../checkpoint/checkpoint.ts";
import type { LayerType, ModelConfig } from "../checkpoint/config.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { blockTensors, embeddingName, weightOffset } from "../checkpoint/tensor-names.ts";
import { type Device, type Feeds, float32, int64, type Outputs, openSession, type Session } from "../onnx/session.ts";
import { type BlockOutput, buildBlockGraph } from "./block-graph.ts";
import { embeddingScale, windowOf } from "./decoder.ts";

/** What goes from block to block: `[windows, tokens, hidden]`. */
export interface HiddenStates {
  readonly data: Float32Array;
  readonly windows: number;
  /** Of each window. */
  readonly tokens: number;
}

/** A block's tensors, by their names within it (`mlp.up_proj.weight`); norm weights are what they multiply by. */
export type BlockWeights = Map<string, Float32Array>;

/** Tokens that go through a block together: large enough for matrix products at full speed. */
const batchTokens = 1024;
const masked = -1e9;

/** The hidden states before the first block. All windows have one length. */
export async function embedWindows(
  checkpoint: Checkpoint,
  windows: readonly (readonly number[])[],
): Promise<HiddenStates> {
  const { config } = checkpoint;
  const embedding = (await checkpoint.read(embeddingName)).data;
  const columns = config.hidden_size;
  const tokens = windows[0]?.length ?? 0;
  const data = new Float32Array(windows.length * tokens * columns);
  const scale = embeddingScale(config);
  for (const [index, id] of windows.flat().entries()) {
    const row = data.subarray(index * columns, (index + 1) * columns);
    bf16ToFloat32(embedding.subarray(id * columns, (id + 1) * columns), row);
    for (let column = 0; column < columns; column++) row[column]! *= scale;
  }
  return { data, windows: windows.length, tokens };
}

/** Reads a block's tensors. */
export async function readBlock(checkpoint: Checkpoint, layer: number): Promise<BlockWeights> {
  const { config } = checkpoint;
  const weights: BlockWeights = new Map();
  for (const { name } of blockTensors(config)) {
    const full = `model.layers.${layer}.${name}`;
    const values = await readValues(checkpoint, full);
    const offset = weightOffset(config, name);
    if (offset !== 0) for (let index = 0; index < values.length; index++) values[index]! += offset;
    weights.set(name, values);
  }
  return weights;
}

/** A graph of one block that gives the outputs asked for; a session for each layer type and length of windows, opened when first needed. */
export interface Block {
  /**
   * Runs all windows, a few at a time, and hands on the outputs of each batch: arrays by name, the first window's number and how many they are.
   * The next batch writes its outputs over them; `hidden_out` may be written over the hidden states that it came from.
   */
  run(
    layer: number,
    weights: BlockWeights,
    hidden: HiddenStates,
    onBatch: (outputs: Record<string, Float32Array>, firstWindow: number, windows: number) => void | Promise<void>,
  ): Promise<void>;
  release(): Promise<void>;
}

export function openBlock(
  config: ModelConfig,
  outputs: readonly BlockOutput[],
  { device = "cpu", ...options }: { readonly skipFirst?: boolean; readonly device?: Device } = {},
): Block {
  const sessions = new Map<string, Promise<Session>>();
  const shapes = new Map(blockTensors(config).map(({ name, shape }) => [name, shape]));
  const sessionFor = (type: LayerType, tokens: number) => {
    const key = `${type} ${tokens}`;
    const session =
      sessions.get(key) ??
      openSession(buildBlockGraph(config, type, tokens, outputs, { ...options, inFloat64: device !== "cpu" }), {
        device,
      });
    sessions.set(key, session);
    return session;
  };
  return {
    async run(layer, weights, { data, windows, tokens }, onBatch) {
      const type = config.layer_types[layer]!;
      const session = await sessionFor(type, tokens);
      const feeds: Feeds = {
        mask: causalMask(tokens, windowOf(config, type) ?? tokens),
      };
      for (const [name, values] of weights) {
        if (session.inputNames.includes(name)) feeds[name] = float32(values, shapes.get(name)!);
      }
      const columns = config.hidden_size;
      const batch = Math.max(1, Math.floor(batchTokens / tokens));
      let results: Outputs | undefined;
      for (let first = 0; first < windows; first += batch) {
        const count = Math.min(batch, windows - first);
        const part = data.subarray(first * tokens * columns, (first + count) * tokens * columns);
        feeds.hidden = float32(part, [count, tokens, columns]);
        const positions = Array.from({ length: count * tokens }, (_, index) => index % tokens);
        feeds.position_ids = int64(positions, [count, tokens]);
        // Arrays of their own for each batch would make the collector of garbage look through all memory several times a block.
        if (results && count === batch) await session.run(feeds, results);
        else results = await session.run(feeds);
        const arrays = Object.entries(results).map(([name, tensor]) => [name, tensor.data as Float32Array]);
        await onBatch(Object.fromEntries(arrays), first, count);
      }
    },
    async release() {
      for (const session of sessions.values()) {
        // One that could not be opened has told so.
        await session.then(
          (open) => open.release(),
          () => {},
        );
      }
    },
  };
}

/** Runs a block and puts what it passes on in the place of the hidden states. */
export async function advance(block: Block, layer: number, weights: BlockWeights, hidden: HiddenStates): Promise<void> {
  const size = hidden.data.length / hidden.windows;
  await block.run(layer, weights, hidden, ({ hidden_out }, first) => {
    hidden.data.set(hidden_out!, first * size);
  });
}

/** 0 where a token may look (itself and up to `window` - 1 tokens before), else a large negative. */
export function causalMask(tokens: number, window: number): Feeds[string] {
  const mask = new Float32Array(tokens * tokens).fill(masked);
  for (let row = 0; row < tokens; row++) {
    mask.fill(0, row * tokens + Math.max(0, row - window + 1), row * tokens + row + 1);
  }
  return float32(mask, [1, 1, tokens, tokens]);
}

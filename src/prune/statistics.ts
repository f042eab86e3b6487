/** What is known of a linear layer's inputs on the calibration windows. */

import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { type LinearInput, linearInputs } from "../model/gemma3-block.ts";
import { type Block, type BlockWeights, type HiddenStates, openBlock } from "../model/run-block.ts";
import { type Matrix, multiply } from "../onnx/matrix.ts";

/** Of the inputs x of one linear layer; means over windows of sums over tokens, so that they are the Wanda repository's numbers. */
export interface InputStatistics {
  /** By column, of x². */
  readonly squares: Float64Array;
  /** By column, of x. Zero where only squares were asked for. */
  readonly sums: Float64Array;
  /** Tokens of a window. */
  readonly tokens: number;
  /** Of x xᵀ; undefined where only squares were asked for. */
  readonly gram: Matrix<Float64Array> | undefined;
  /** Of x dᵀ, with d the input of the same layer in the dense model; undefined where that was not asked for. */
  readonly cross: Matrix<Float64Array> | undefined;
}

/** The dense model's stream beside the pruned one's; a measurement moves it on to the next block. */
export interface DenseStream {
  readonly weights: BlockWeights;
  readonly hidden: HiddenStates;
}

/** Measures the inputs of a block's linear layers. */
export interface InputMeter {
  measure(
    layer: number,
    weights: BlockWeights,
    hidden: HiddenStates,
    dense?: DenseStream,
  ): Promise<Map<LinearInput, InputStatistics>>;
  release(): Promise<void>;
}

/** Whether only the columns' squares are needed, which costs far less than Gram matrices. */
export type StatisticsKind = "squares" | "gram";

export function openInputMeter(
  { config }: Checkpoint,
  kind: StatisticsKind,
  { skipFirst }: { readonly skipFirst: boolean },
): InputMeter {
  const names = Object.keys(linearInputs) as LinearInput[];
  const output = kind === "gram" ? "input" : "squares";
  const block: Block = openBlock(
    config,
    names.map((name) => `${output}.${name}` as const),
    { skipFirst },
  );
  const denseBlock = openBlock(config, [...names.map((name) => `input.${name}` as const), "hidden_out"], { skipFirst });
  return {
    async measure(layer, weights, hidden, dense) {
      const tokens = hidden.tokens - (skipFirst ? 1 : 0);
      const totals = new Map<LinearInput, InputStatistics>();
      await block.run(layer, weights, hidden, async (outputs, first, count) => {
        const denseOutputs = dense && (await passDense(denseBlock, layer, dense, first, count));
        for (const name of names) {
          const seen = outputs[`${output}.${name}`]!;
          const total = totals.get(name) ?? newTotals(kind, config, name, tokens, dense !== undefined);
          totals.set(name, total);
          if (total.gram) await addInputs(total, total.gram, seen);
          if (total.cross) await addProducts(total.cross, seen, denseOutputs![`input.${name}`]!);
          if (!total.gram) for (let column = 0; column < seen.length; column++) total.squares[column]! += seen[column]!;
        }
      });
      for (const [name, { squares, sums, gram, cross }] of totals) {
        for (const values of [squares, sums, gram?.data ?? [], cross?.data ?? []]) {
          for (let index = 0; index < values.length; index++) values[index]! /= hidden.windows;
        }
        const wrong = squares.findIndex((value) => !Number.isFinite(value));
        if (wrong >= 0) {
          throw new PrunelabError(
            `inputs are not finite: model.layers.${layer}.${name}: column ${wrong}; check the checkpoint's weights`,
          );
        }
      }
      return totals;
    },
    async release() {
      await block.release();
      await denseBlock.release();
    },
  };
}

function newTotals(
  kind: StatisticsKind,
  config: Checkpoint["config"],
  name: LinearInput,
  tokens: number,
  withDense: boolean,
): InputStatistics {
  const columns =
    name === "self_attn.o_proj"
      ? config.num_attention_heads * config.head_dim
      : name === "mlp.down_proj"
        ? config.intermediate_size
        : config.hidden_size;
  const products = () => ({ rows: columns, columns, data: new Float64Array(columns * columns) });
  return {
    squares: new Float64Array(columns),
    sums: new Float64Array(columns),
    tokens,
    gram: kind === "gram" ? products() : undefined,
    cross: withDense ? products() : undefined,
  };
}

/** Adds a batch of inputs `[rows, in]`: its products in float32, the sum of the batches in float64. */
async function addInputs(
  { squares, sums }: InputStatistics,
  gram: Matrix<Float64Array>,
  data: Float32Array,
): Promise<void> {
  const columns = squares.length;
  await addProducts(gram, data, data);
  for (let column = 0; column < columns; column++) squares[column]! = gram.data[column * columns + column]!;
  for (let at = 0; at < data.length; at += columns) {
    for (let column = 0; column < columns; column++) sums[column]! += data[at + column]!;
  }
}

async function addProducts(total: Matrix<Float64Array>, x: Float32Array, y: Float32Array): Promise<void> {
  const { columns } = total;
  const rows = x.length / columns;
  const { data } = await multiply({ rows, columns, data: x }, { rows, columns, data: y }, { transposeA: true });
  for (let index = 0; index < data.length; index++) total.data[index]! += data[index]!;
}

/** The dense block's outputs for some windows, whose hidden states it moves on. */
async function passDense(
  block: Block,
  layer: number,
  { weights, hidden }: DenseStream,
  first: number,
  count: number,
): Promise<Record<string, Float32Array>> {
  const size = hidden.data.length / hidden.windows;
  const data = hidden.data.subarray(first * size, (first + count) * size);
  let outputs: Record<string, Float32Array> = {};
  await block.run(layer, weights, { data, windows: count, tokens: hidden.tokens }, (results) => {
    outputs = results;
    data.set(results.hidden_out!);
  });
  return outputs;
}

/** What is known of a linear layer's inputs on the calibration windows. */

import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { inputColumns, type LinearInput, linearInputs } from "../model/block-graph.ts";
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

/** `withDense`: whether `measure` is given the dense model's stream. */
export function openInputMeter(
  { config }: Checkpoint,
  kind: StatisticsKind,
  { skipFirst, withDense = false }: { readonly skipFirst: boolean; readonly withDense?: boolean },
): InputMeter {
  const names = Object.keys(linearInputs) as LinearInput[];
  const inputs = names.map((name) => `input.${name}` as const);
  const wanted = names.flatMap((name) =>
    kind === "gram" ? ([`gram.${name}`, `sums.${name}`] as const) : ([`squares.${name}`] as const),
  );
  const block: Block = openBlock(config, withDense ? [...wanted, ...inputs] : wanted, { skipFirst });
  const denseBlock = openBlock(config, [...inputs, "hidden_out"], { skipFirst });
  return {
    async measure(layer, weights, hidden, dense) {
      const tokens = hidden.tokens - (skipFirst ? 1 : 0);
      const totals = new Map(
        names.map((name) => [name, newTotals(kind, inputColumns(config, name), tokens, withDense)]),
      );
      await block.run(layer, weights, hidden, async (outputs, first, count) => {
        const denseOutputs = dense && (await passDense(denseBlock, layer, dense, first, count));
        for (const [name, { squares, sums, gram, cross }] of totals) {
          if (gram) addLower(gram, outputs[`gram.${name}`]!);
          addTo(gram ? sums : squares, outputs[`${gram ? "sums" : "squares"}.${name}`]!);
          if (cross) await addProducts(cross, outputs[`input.${name}`]!, denseOutputs![`input.${name}`]!);
        }
      });
      for (const [name, { squares, sums, gram, cross }] of totals) {
        if (gram) mirror(gram, squares);
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

function newTotals(kind: StatisticsKind, columns: number, tokens: number, withDense: boolean): InputStatistics {
  const products = () => ({ rows: columns, columns, data: new Float64Array(columns * columns) });
  return {
    squares: new Float64Array(columns),
    sums: new Float64Array(columns),
    tokens,
    gram: kind === "gram" ? products() : undefined,
    cross: withDense ? products() : undefined,
  };
}

// A batch's sums are float32, those of the batches float64.
function addTo(total: Float64Array, values: Float32Array): void {
  for (let index = 0; index < values.length; index++) total[index]! += values[index]!;
}

function addLower({ columns, data }: Matrix<Float64Array>, values: Float32Array): void {
  for (let row = 0; row < columns; row++) {
    for (let index = row * columns; index <= row * columns + row; index++) data[index]! += values[index]!;
  }
}

/** Fills the upper triangle from the lower, and `squares` from the diagonal. */
function mirror({ columns, data }: Matrix<Float64Array>, squares: Float64Array): void {
  for (let row = 0; row < columns; row++) {
    for (let column = 0; column < row; column++) data[column * columns + row] = data[row * columns + column]!;
    squares[row] = data[row * columns + row]!;
  }
}

async function addProducts(total: Matrix<Float64Array>, x: Float32Array, y: Float32Array): Promise<void> {
  const { columns } = total;
  const rows = x.length / columns;
  const { data } = await multiply({ rows, columns, data: x }, { rows, columns, data: y }, { transposeA: true });
  addTo(total.data, data);
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

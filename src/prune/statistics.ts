/** What is known of the linear layers' inputs on the calibration windows: measured block by block, on the device asked for. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { cachedJson } from "../hub/cached.ts";
import { inputColumns, type LinearInput, linearInputs } from "../model/block-graph.ts";
import {
  advance,
  type BlockWeights,
  embedWindows,
  type HiddenStates,
  openBlock,
  readBlock,
} from "../model/run-block.ts";
import type { Matrix } from "../onnx/matrix.ts";
import type { Device } from "../onnx/session.ts";
import { listener, type OnProgress } from "../progress.ts";
import { type Calibration, type CalibrationOptions, loadCalibration } from "./calibration.ts";

/** Of the inputs x of one linear layer; means over windows of sums over tokens, so that they are the Wanda repository's numbers. */
export interface InputStatistics {
  /** By column, of x². */
  readonly squares: Float64Array;
  /** By column, of x. Zero if only squares were asked for. */
  readonly sums: Float64Array;
  /** Tokens of a window. */
  readonly tokens: number;
  /** Of x xᵀ; undefined if only squares were asked for. */
  readonly gram: Matrix<Float64Array> | undefined;
}

/** Measures the inputs of a block's linear layers. */
export interface InputMeter {
  measure(layer: number, weights: BlockWeights, hidden: HiddenStates): Promise<Map<LinearInput, InputStatistics>>;
  release(): Promise<void>;
}

/** Whether only the columns' squares are needed, which costs far less than Gram matrices. */
export type StatisticsKind = "squares" | "gram";

export interface MeterOptions {
  /** Whether a window's first position is left out. */
  readonly skipFirst: boolean;
  /** Default `"cpu"`. */
  readonly device?: Device;
  /** Looked at between batches of windows. */
  readonly signal?: AbortSignal | undefined;
}

export function openInputMeter(
  { config }: Checkpoint,
  kind: StatisticsKind,
  { skipFirst, device = "cpu", signal }: MeterOptions,
): InputMeter {
  const names = Object.keys(linearInputs) as LinearInput[];
  const wanted = names.flatMap((name) =>
    kind === "gram" ? ([`gram.${name}`, `sums.${name}`] as const) : ([`squares.${name}`] as const),
  );
  const block = openBlock(config, wanted, { skipFirst, device });
  return {
    async measure(layer, weights, hidden) {
      const tokens = hidden.tokens - (skipFirst ? 1 : 0);
      const totals = new Map(names.map((name) => [name, newTotals(kind, inputColumns(config, name), tokens)]));
      await block.run(layer, weights, hidden, (outputs) => {
        signal?.throwIfAborted();
        for (const [name, { squares, sums, gram }] of totals) {
          if (gram) addLower(gram, outputs[`gram.${name}`]!);
          addTo(gram ? sums : squares, outputs[`${gram ? "sums" : "squares"}.${name}`]!);
        }
      });
      for (const [name, { squares, sums, gram }] of totals) {
        if (gram) mirror(gram, squares);
        for (const values of [squares, sums, gram?.data ?? []]) {
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
    release: () => block.release(),
  };
}

function newTotals(kind: StatisticsKind, columns: number, tokens: number): InputStatistics {
  return {
    squares: new Float64Array(columns),
    sums: new Float64Array(columns),
    tokens,
    gram: kind === "gram" ? { rows: columns, columns, data: new Float64Array(columns * columns) } : undefined,
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

/** By block, then by input: each column's mean over windows of the sum over tokens of x². */
export type DenseSquares = Partial<Record<LinearInput, number[]>>[];

export interface DenseSquaresOptions extends Omit<MeterOptions, "skipFirst"> {
  readonly onProgress?: OnProgress | undefined;
}

/** The inputs' squares in all blocks of the dense model: measured once for a model, its windows and a device, then kept in the cache. */
export async function denseSquares(
  dense: Checkpoint,
  calibration: Calibration,
  { device = "cpu", signal, onProgress }: DenseSquaresOptions = {},
): Promise<DenseSquares> {
  const key = [await dense.digest(), calibration.digest, device];
  const isWhole = (value: unknown): value is DenseSquares => Array.isArray(value);
  const make = () => measureSquares(dense, calibration, { device, signal, onProgress });
  return await cachedJson("squares", dense.name, { key, make, isWhole });
}

async function measureSquares(
  dense: Checkpoint,
  calibration: Calibration,
  { device = "cpu", signal, onProgress }: DenseSquaresOptions,
): Promise<DenseSquares> {
  const { num_hidden_layers: count } = dense.config;
  const hidden = await embedWindows(dense, calibration.windows);
  const meter = openInputMeter(dense, "squares", { skipFirst: !calibration.countBos, device, signal });
  const passOn = openBlock(dense.config, ["hidden_out"], { device });
  const blocks: DenseSquares = [];
  try {
    for (let layer = 0; layer < count; layer++) {
      onProgress?.({ step: "measure the dense model", done: layer, total: count, unit: "blocks" });
      const weights = await readBlock(dense, layer);
      const inputs = await meter.measure(layer, weights, hidden);
      blocks.push(Object.fromEntries([...inputs].map(([name, { squares }]) => [name, [...squares]])));
      if (layer < count - 1) await advance(passOn, layer, weights, hidden);
    }
  } finally {
    await meter.release();
    await passOn.release();
  }
  return blocks;
}

/** The norms of one block's input of linear layers, over its columns. */
export interface ColumnNorms {
  readonly layer: number;
  /** The linear layer that it is named by, e.g. `mlp.down_proj`; those that share an input share its first one's name. */
  readonly input: string;
  /** Columns. */
  readonly width: number;
  readonly median: number;
  readonly largest: number;
  /** Columns whose norm is more than ten times the median. */
  readonly outliers: number;
}

/**
 * The norm of every input column of the dense model's linear layers: the root of the mean over windows of the sum over tokens of x²
 * (Sun et al. 2023, arXiv 2306.11695). Measured once for a model and its windows, then kept in the cache.
 *
 * @throws PrunelabError if the calibration windows cannot be had.
 */
export async function columnNorms(
  dense: Checkpoint,
  { onProgress, ...options }: CalibrationOptions & { readonly onProgress?: OnProgress } = {},
): Promise<ColumnNorms[]> {
  const blocks = await denseSquares(dense, await loadCalibration(dense, options), {
    onProgress: listener(onProgress),
  });
  return blocks.flatMap((block, layer) =>
    Object.entries(block).map(([input, squares]) => {
      const norms = squares.map(Math.sqrt).sort((a, b) => a - b);
      const median = (norms[Math.floor((norms.length - 1) / 2)]! + norms[Math.ceil((norms.length - 1) / 2)]!) / 2;
      const outliers = norms.filter((norm) => norm > 10 * median).length;
      return { layer, input, width: norms.length, median, largest: norms.at(-1)!, outliers };
    }),
  );
}

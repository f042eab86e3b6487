/** The training loop: batches in a seeded order, AdamW, held-out losses, and a state on disk from which a stopped run goes on to the last digit. */

import { existsSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import { checkRoom } from "../base/disk-space.ts";
import { interruptedSignal, throwIfInterrupted } from "../base/interrupted.ts";
import { readJsonObject } from "../base/json.ts";
import { PrunelabError } from "../errors.ts";
import type { TrainingData, TrainingWindow } from "./data.ts";
import { type LoopOptions, learningRateAt } from "./loop-options.ts";
import type { Batch, Mix, Network, ScoredPosition, TeacherTargets } from "./network.ts";
import { shuffle, uniform } from "./random.ts";
import { type FileTensor, readTensorFile, writeTensorFile } from "./tensor-file.ts";

export interface LossPoint {
  /** Counts from 1; 0 is before training. */
  readonly step: number;
  /** Mean over the step's scored positions; absent at step 0. */
  readonly loss?: number;
  /** Mean cross-entropy over the held-out windows, where it was measured. */
  readonly heldOut?: number;
  readonly learningRate?: number;
}

export interface TrainingReport {
  readonly curve: readonly LossPoint[];
  /** Mean held-out cross-entropy before and with the weights that were kept. */
  readonly heldOutBefore: number;
  readonly heldOutAfter: number;
  /** The step whose weights were kept. */
  readonly bestStep: number;
  readonly steps: number;
  readonly plannedSteps: number;
  /** Tokens that went through training. */
  readonly tokens: number;
  readonly seconds: number;
  /** Share of the seconds of steps that the optimizer took. */
  readonly optimizerShare: number;
  readonly trainedParameters: number;
  readonly stopped: "finished" | "aborted" | "diverged";
}

interface State {
  readonly step: number;
  readonly curve: LossPoint[];
  readonly best: number;
  readonly bestStep: number;
  readonly seconds: number;
  readonly optimizerSeconds: number;
}

const betas = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const batchTokens = 1024;
/** In nats. */
const largestRise = 1;

/**
 * Trains a network; its parameters then hold the weights of the step with the lowest held-out loss.
 *
 * @param folder Keeps the state. What lies there of a run with another `key` is an error, of the same run is gone on with.
 * @param teach Gives a teacher's targets for a batch.
 */
export async function trainNetwork(
  network: Network,
  data: TrainingData,
  {
    folder,
    key,
    teach,
  }: {
    readonly folder: string;
    readonly key: string;
    readonly teach?: ((batch: Batch) => Promise<TeacherTargets>) | undefined;
  },
  options: LoopOptions,
): Promise<TrainingReport> {
  const {
    batchSize = 2,
    epochs = 1,
    positions = 1,
    evaluations = 5,
    seed = 0,
    maxGradNorm = 1,
    weightDecay = 0,
  } = options;
  const share = teach ? (options.distillation ?? 0.5) : 0;
  const micro = options.microBatchSize ?? Math.max(1, Math.min(batchSize, Math.floor(batchTokens / data.tokens)));
  const stepsOfEpochs = Math.max(1, Math.ceil((epochs * data.windows.length) / batchSize));
  const byTime = options.minutes !== undefined;
  let planned = options.maxSteps ?? (byTime ? Number.POSITIVE_INFINITY : stepsOfEpochs);
  const runFile = join(folder, "run.json");
  const stateFile = join(folder, "state.safetensors");
  const bestFile = join(folder, "best.safetensors");

  let run: { key?: unknown; steps?: unknown } | undefined;
  if (existsSync(runFile)) {
    run = await readJsonObject(runFile);
    if (run.key !== key) {
      throw new PrunelabError(
        `another run lies in ${folder}: other options, data or weights; name another folder or remove this one`,
      );
    }
  }
  const valueBytes = [...arraysOf(network, "values")].reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
  // The state has the moments too, and is there twice while it is written anew; the best weights are beside it.
  if (!existsSync(stateFile)) await checkRoom(folder, 8 * valueBytes, "the state of training", "name another folder");
  let state: State = {
    step: 0,
    curve: [],
    best: Number.POSITIVE_INFINITY,
    bestStep: 0,
    seconds: 0,
    optimizerSeconds: 0,
  };
  if (run && existsSync(stateFile)) {
    const { tensors, note } = await readTensorFile(stateFile);
    for (const [name, array] of arraysOf(network)) array.set(tensors.get(name)!.data as Float32Array);
    state = note as unknown as State;
    options.onNotice?.(`going on after step ${state.step}`);
  }
  if (typeof run?.steps === "number") planned = run.steps;

  let { step, best, bestStep, optimizerSeconds } = state;
  const curve = [...state.curve];
  const started = performance.now();
  const secondsNow = () => state.seconds + (performance.now() - started) / 1000;
  const tell = (point: LossPoint) => {
    curve.push(point);
    options.onStep?.(point);
  };
  const measure = async () => {
    const own = await heldOutLoss(network, data, micro);
    if (own < best || best === Number.POSITIVE_INFINITY) {
      [best, bestStep] = [own, step];
      await writeTensorFile(bestFile, tensorsOf(network, "values"));
    }
    return own;
  };
  const keep = async () => {
    const now: State = { step, curve, best, bestStep, seconds: secondsNow(), optimizerSeconds };
    await writeTensorFile(stateFile, tensorsOf(network, "all"), { ...now });
  };
  let measureSeconds = 0;
  if (step === 0 && curve.length === 0) {
    tell({ step: 0, heldOut: await measure() });
    measureSeconds = (performance.now() - started) / 1000;
  }
  if (run?.key === undefined)
    await writeFileAtomic(runFile, JSON.stringify({ key, ...(options.minutes === undefined && { steps: planned }) }));

  let stopped: TrainingReport["stopped"] = "finished";
  let measuredFrom = 0;
  let hasPlan = options.minutes === undefined || typeof run?.steps === "number";
  while (step < planned) {
    if (options.signal?.aborted) {
      stopped = "aborted";
      break;
    }
    const windows = windowsOfStep(data.windows, step, batchSize, seed);
    const scored = scoredOf(windows, positions, `${seed} ${step} positions`);
    const rate = learningRateAt(step + 1, planned, options, hasPlan);
    let loss: number;
    try {
      throwIfInterrupted();
      loss = await gradientsOf(network, windows, scored, { micro, share, teach, dropoutSeed: step + 1 });
    } catch (error) {
      // A notebook's user has stopped the cell: the same call goes on here.
      if (interruptedSignal()?.aborted && hasPlan && step > state.step) await keep();
      throw error;
    }
    const squares = network.groups.reduce((sum, group) => sum + group.sumOfSquares(), 0);
    const mean = loss / scored.length;
    if (!Number.isFinite(mean) || !Number.isFinite(squares) || isRising(curve, mean)) {
      stopped = "diverged";
      options.onNotice?.(
        `training diverged at step ${step + 1}: the loss is ${Number.isFinite(mean) ? mean.toPrecision(4) : "not a number"} at learning rate ${rate.toPrecision(3)}; the weights of step ${bestStep} are kept; choose a lower one`,
      );
      break;
    }
    step++;
    const norm = Math.sqrt(squares);
    const from = performance.now();
    const scale = norm > maxGradNorm ? maxGradNorm / norm : 1;
    for (const group of network.groups) group.update({ ...betas, learningRate: rate, weightDecay, step, scale });
    optimizerSeconds += (performance.now() - from) / 1000;
    if (!hasPlan) {
      // The first step also opens the graphs.
      if (step === 1) measuredFrom = performance.now();
      const left = options.minutes! * 60 - secondsNow();
      if (left <= 0 || (step > 1 && (step === 3 || planned <= 3))) {
        const seconds = (performance.now() - measuredFrom) / 1000 / Math.max(1, step - 1);
        // The state is larger than the weights alone, which the first measure kept.
        const besideSteps = 2 * evaluations * measureSeconds;
        planned = left <= 0 ? step : Math.min(planned, Math.max(0, Math.floor((left - besideSteps) / seconds)) + step);
        await writeFileAtomic(runFile, JSON.stringify({ key, steps: planned }));
        hasPlan = true;
      }
    }
    const every = Math.max(1, Math.ceil(planned / evaluations));
    const point = { step, loss: mean, learningRate: rate };
    if (hasPlan && (step % every === 0 || step === planned)) {
      tell({ ...point, heldOut: await measure() });
      await keep();
    } else tell(point);
    const each = batchSize * data.tokens;
    options.onProgress?.({
      step: "train",
      done: step * each,
      total: Number.isFinite(planned) ? planned * each : 0,
      unit: "tokens",
      detail: `loss ${mean.toFixed(3)}`,
    });
  }
  if (stopped !== "finished" && step > bestStep && stopped === "aborted") {
    const own = await measure();
    if (hasPlan) await keep();
    curve.push({ step, heldOut: own });
  }
  if (bestStep !== step || stopped === "diverged") {
    const { tensors } = await readTensorFile(bestFile);
    for (const [name, array] of arraysOf(network, "values")) array.set(tensors.get(name)!.data as Float32Array);
  }
  return {
    curve,
    heldOutBefore: curve[0]?.heldOut ?? Number.NaN,
    heldOutAfter: best,
    bestStep,
    steps: step,
    plannedSteps: planned,
    tokens: step * batchSize * data.tokens,
    seconds: secondsNow(),
    optimizerShare: optimizerSeconds / secondsNow(),
    trainedParameters: network.groups.reduce(
      (sum, { parameters }) => parameters.reduce((n, { values }) => n + values.length, sum),
      0,
    ),
    stopped,
  };
}

/** Removes what a finished run has kept. */
export async function removeState(folder: string): Promise<void> {
  for (const name of ["run.json", "state.safetensors", "best.safetensors"])
    await rm(join(folder, name), { force: true });
  // One that holds other files stays.
  await rmdir(folder).catch(() => {});
}

/** Whether the mean of the last ten losses is far above the lowest such mean. */
export function isRising(curve: readonly LossPoint[], loss: number): boolean {
  const losses = [...curve.flatMap((point) => point.loss ?? []), loss];
  if (losses.length < 15) return false;
  const means = Array.from(
    { length: losses.length - 9 },
    (_, at) => losses.slice(at, at + 10).reduce((sum, x) => sum + x, 0) / 10,
  );
  return means.at(-1)! > Math.min(...means) + largestRise;
}

function windowsOfStep(
  windows: readonly TrainingWindow[],
  step: number,
  batch: number,
  seed: number,
): TrainingWindow[] {
  return Array.from({ length: batch }, (_, index) => {
    const at = step * batch + index;
    const epoch = Math.floor(at / windows.length);
    return orderOf(windows, epoch, seed)[at % windows.length]!;
  });
}

let lastOrder:
  | { windows: readonly TrainingWindow[]; epoch: number; seed: number; order: readonly TrainingWindow[] }
  | undefined;

/** The first pass has the data's own order. */
function orderOf(windows: readonly TrainingWindow[], epoch: number, seed: number): readonly TrainingWindow[] {
  if (epoch === 0) return windows;
  if (lastOrder?.windows !== windows || lastOrder.epoch !== epoch || lastOrder.seed !== seed) {
    lastOrder = { windows, epoch, seed, order: shuffle(windows, `${seed} epoch ${epoch}`) };
  }
  return lastOrder.order;
}

/** The positions before labels that count, or a drawn share of them, one at least. */
function scoredOf(windows: readonly TrainingWindow[], share: number, seed: string): ScoredPosition[] {
  const all = windows.flatMap(({ ids, counts }, window) =>
    ids.flatMap((label, index) => (counts[index] ? [{ window, position: index - 1, label }] : [])),
  );
  if (share === 1) return all;
  const random = uniform(seed);
  const drawn = all.filter(() => random() < share);
  return drawn.length > 0 ? drawn : all.slice(0, 1);
}

async function gradientsOf(
  network: Network,
  windows: readonly TrainingWindow[],
  scored: readonly ScoredPosition[],
  {
    micro,
    share,
    teach,
    dropoutSeed,
  }: {
    micro: number;
    share: number;
    teach: ((batch: Batch) => Promise<TeacherTargets>) | undefined;
    dropoutSeed: number;
  },
): Promise<number> {
  let loss = 0;
  for (let from = 0; from < windows.length; from += micro) {
    const to = Math.min(windows.length, from + micro);
    const batch: Batch = {
      windows: windows.slice(from, to).map(({ ids }) => ids),
      scored: scored
        .filter(({ window }) => window >= from && window < to)
        .map((position) => ({ ...position, window: position.window - from })),
    };
    const mix: Mix | undefined = teach && share > 0 ? { teacher: await teach(batch), share } : undefined;
    loss += await network.lossAndGradient(batch, 1 / scored.length, { mix, dropoutSeed: dropoutSeed * 1000 + from });
    if (windows.length > micro)
      for (const group of network.groups) to < windows.length ? group.putAside() : group.gather();
  }
  return loss;
}

/** Mean cross-entropy of the labels that count; NaN without held-out windows. */
export async function heldOutLoss(network: Network, { heldOut }: TrainingData, micro: number): Promise<number> {
  let [sum, count] = [0, 0];
  for (let from = 0; from < heldOut.length; from += micro) {
    const windows = heldOut.slice(from, from + micro);
    const scored = scoredOf(windows, 1, "");
    if (scored.length === 0) continue;
    sum += await network.loss({ windows: windows.map(({ ids }) => ids), scored });
    count += scored.length;
  }
  return sum / count;
}

/** Names of arrays are those of the group and what they hold; values are also there alone. */
function* arraysOf({ groups }: Network, what: "all" | "values" = "all"): Generator<[string, Float32Array]> {
  for (const [index, { state }] of groups.entries()) {
    yield [`${index}.values`, state.values];
    if (what === "all") {
      yield [`${index}.first`, state.first];
      yield [`${index}.second`, state.second];
    }
  }
}

function tensorsOf(network: Network, what: "all" | "values"): Map<string, FileTensor> {
  return new Map([...arraysOf(network, what)].map(([name, data]) => [name, { shape: [data.length], data }]));
}

/** How long and how to train: the options, their check, and the learning rate of a step. */
import { PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import type { LossPoint } from "./loop.ts";

/** How long and how to train; names are TRL's, in camel case. */
export interface LoopOptions {
  /** Peak, after the warm-up. */
  readonly learningRate: number;
  readonly lrSchedulerType?: "cosine" | "linear" | "constant";
  /** Default 5. */
  readonly warmupSteps?: number;
  readonly weightDecay?: number;
  /** Gradients are scaled to this norm at most; default 1. */
  readonly maxGradNorm?: number;
  /** Windows of a step; default 2. */
  readonly batchSize?: number;
  /** Windows that go through together; default `batchSize`, at most 1,024 tokens. */
  readonly microBatchSize?: number;
  /** Passes over the windows, unless `maxSteps` or `minutes` is given; default 1. */
  readonly epochs?: number;
  /** In place of `epochs`. */
  readonly maxSteps?: number;
  /** Stops the steps so that all takes about as long; measured on the first ones. */
  readonly minutes?: number;
  /** Share of the counted positions that are scored in a step, drawn anew each time; default 1. */
  readonly positions?: number;
  /** Times that the held-out loss is measured and the state is kept; default 5. */
  readonly evaluations?: number;
  readonly seed?: number;
  /** Of the KL divergence from the teacher in the loss; the labels' cross-entropy has the rest. Default 0.5 with a teacher. */
  readonly distillation?: number;
  readonly onProgress?: OnProgress;
  /** Gets each point of the loss curve, to draw it as it falls. */
  readonly onStep?: (point: LossPoint) => void;
  readonly onNotice?: (line: string) => void;
  /** Stops after the step that is under way; the best weights so far are kept. */
  readonly signal?: AbortSignal;
}

/** @throws PrunelabError for numbers that make no sense. */
export function checkLoop({
  learningRate,
  epochs = 1,
  minutes,
  positions = 1,
  distillation = 0.5,
  maxGradNorm = 1,
  lrSchedulerType = "cosine",
}: LoopOptions): void {
  const check = (name: string, value: number, fits: boolean, what: string) => {
    if (!fits) throw new PrunelabError(`invalid ${name}: ${value}; choose ${what}`);
  };
  check("learningRate", learningRate, learningRate > 0 && Number.isFinite(learningRate), "a number above 0, e.g. 1e-4");
  check("epochs", epochs, epochs > 0 && Number.isFinite(epochs), "a number above 0");
  if (minutes !== undefined) check("minutes", minutes, minutes > 0 && Number.isFinite(minutes), "a number above 0");
  check("positions", positions, positions > 0 && positions <= 1, "a share in (0, 1]");
  check("distillation", distillation, distillation >= 0 && distillation <= 1, "a share in [0, 1]");
  check("maxGradNorm", maxGradNorm, maxGradNorm > 0, "a number above 0");
  if (!["cosine", "linear", "constant"].includes(lrSchedulerType))
    throw new PrunelabError(`unknown lrSchedulerType: ${lrSchedulerType}; choose cosine, linear or constant`);
}

/** Linear warm-up, then the schedule's way down to 0; constant for as long as the number of steps is not known. */
export function learningRateAt(
  step: number,
  steps: number,
  { learningRate, lrSchedulerType = "cosine", warmupSteps = 5 }: LoopOptions,
  hasPlan = true,
): number {
  if (step <= warmupSteps) return (learningRate * step) / warmupSteps;
  if (lrSchedulerType === "constant" || !hasPlan) return learningRate;
  const done = (step - warmupSteps) / Math.max(1, steps - warmupSteps + 1);
  return learningRate * (lrSchedulerType === "linear" ? 1 - done : (1 + Math.cos(Math.PI * done)) / 2);
}

/** What a plan means for one tensor, in numbers that the kernels take. */
import { createHash } from "node:crypto";
import type { Tensor } from "../checkpoint/tensor.ts";
import type { ScoreFactors } from "./importance.ts";
import type { PruningPlan } from "./options.ts";

/** Which weights go, and by what score. */
export interface Selection extends Pick<PruningPlan, "sparsity" | "pattern"> {
  readonly method: PruningPlan["method"] | ScoreFactors;
  readonly seed?: number;
}

export interface PruningTask {
  /** 0 magnitude, 1 random, 2 by factors. */
  readonly method: number;
  readonly factors: ScoreFactors | undefined;
  /** The lowest `count` of every `span` consecutive weights go; meaningless where the pattern is `"global"`. */
  readonly span: number;
  readonly count: number;
  /** Two seeds of 32 bits, made from the plan's seed and the tensor's name. */
  readonly firstSeed: number;
  readonly secondSeed: number;
}

export function taskOf({ name, data, shape }: Tensor, selection: Selection): PruningTask {
  const { method, sparsity, pattern, seed = 0 } = selection;
  const span =
    typeof pattern === "object" ? pattern.of : pattern === "row" ? (shape.at(-1) ?? data.length) : data.length;
  const digest = createHash("sha256").update(`${seed}\0${name}`).digest();
  return {
    method: typeof method === "object" ? 2 : { magnitude: 0, random: 1 }[method],
    factors: typeof method === "object" ? method : undefined,
    span,
    count: typeof pattern === "object" ? pattern.zeros : Math.round(span * sparsity),
    firstSeed: digest.readUInt32LE(0),
    secondSeed: digest.readUInt32LE(4),
  };
}

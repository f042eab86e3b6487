/** What a plan means for one tensor, in numbers that the kernels take. */
import { createHash } from "node:crypto";
import type { Tensor } from "../checkpoint/tensor.ts";
import type { PruningPlan } from "./options.ts";

export interface PruningTask {
  /** 0 magnitude, 1 random. */
  readonly method: number;
  /** The lowest `count` of every `span` consecutive weights go; meaningless where the pattern is `"global"`. */
  readonly span: number;
  readonly count: number;
  /** Two seeds of 32 bits, made from the plan's seed and the tensor's name. */
  readonly firstSeed: number;
  readonly secondSeed: number;
}

export function taskOf({ name, data, shape }: Tensor, { method, sparsity, pattern, seed }: PruningPlan): PruningTask {
  const span =
    typeof pattern === "object" ? pattern.of : pattern === "row" ? (shape.at(-1) ?? data.length) : data.length;
  const digest = createHash("sha256").update(`${seed}\0${name}`).digest();
  return {
    method: { magnitude: 0, random: 1 }[method],
    span,
    count: typeof pattern === "object" ? pattern.zeros : Math.round(span * sparsity),
    firstSeed: digest.readUInt32LE(0),
    secondSeed: digest.readUInt32LE(4),
  };
}

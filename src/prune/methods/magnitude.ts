/** The methods that look at weights alone: magnitude, and random as the control. */
import { zeroLowest } from "../select.ts";
import type { PruningMethod } from "./method.ts";

export const magnitude: PruningMethod = {
  name: "magnitude",
  needs: "nothing",
  pattern: "tensor",
  kernel: "magnitude",
  summary: "zeroes the weights with the smallest |w|",
  source: "Han et al. 2015, arXiv 1506.02626",
  prune: ({ columns, data }, _, { pattern, sparsity }) =>
    zeroLowest(data, data.map(Math.abs), columns, pattern, sparsity),
};

export const random: PruningMethod = {
  name: "random",
  needs: "nothing",
  pattern: "tensor",
  kernel: "random",
  summary: "zeroes weights at random: the control",
  source: "seeded; the mixer lowbias32 of Wellons 2018",
};

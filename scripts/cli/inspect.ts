/** `prunelab inspect`: says what a checkpoint is and how it was pruned. */
import { prepareFolder } from "../../src/base/atomic.ts";
import { inspectCheckpoint, openCheckpoint, writeCheckpoint } from "../../src/index.ts";
import { type Command, defineCommand, flag, UsageError, value } from "./command.ts";
import { terminalProgress } from "./progress.ts";

export const inspect: Command = defineCommand({
  usage: "<model> [options]",
  description: `Says what a model is and how it was pruned: family, size, dtype, head tied or not, zeros, and the scope and pattern (per tensor, per row,
n:m) that they show. The model is a Hub id, a folder or a .gguf file.`,
  operands: "one",
  options: {
    base: value(
      "--base <id or path>",
      "a model that it may have been pruned from: tells whether every weight is the base's or zero",
    ),
    tensors: flag("--tensors", "also a line for each tensor"),
    applyMasks: value(
      "--apply-masks <folder>",
      "finish a pruning that torch left as weight_orig and weight_mask, and write the model to this folder",
    ),
  },
  json: "family, weights, dtypes, zeros by tensor, what is pruned, the pattern, and how it fits the base",
  examples: [
    [
      "sweelol/gemma3-270m-pruned-baseline-50pc --base google/gemma-3-270m",
      "the model card's checkpoint beside its base",
    ],
    ["./pruned --tensors", "each tensor's zeros"],
  ],
  run: async ({ base, tensors, applyMasks }, [model]) => {
    if (model === undefined) throw new UsageError("no model is given; name a Hub id, a folder or a .gguf file");
    const { onProgress, note, finish } = terminalProgress();
    const options = { onProgress, onNotice: note };
    if (applyMasks !== undefined) await prepareFolder(applyMasks);
    const checkpoint = await openCheckpoint(model, { ...options, applyMasks: applyMasks !== undefined });
    const other = base === undefined ? undefined : await openCheckpoint(base, options);
    const inspection = await inspectCheckpoint(checkpoint, { ...(other && { base: other }), onProgress });
    if (applyMasks !== undefined) await writeCheckpoint(checkpoint, applyMasks, { onProgress });
    finish();
    const { summary, ...json } = inspection;
    const rows = inspection.tensors.map(
      ({ name, shape, dtype, sparsity, pattern }) =>
        `${(100 * sparsity).toFixed(1).padStart(5)} %  ${name}  ${shape.join(" × ")}  ${dtype}${pattern === null ? "" : `  ${pattern}`}`,
    );
    return { text: [summary, ...(tensors ? rows : [])].join("\n"), json };
  },
});

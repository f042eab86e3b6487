/** `prunelab prune`: prunes a model and writes it as a folder. */
import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { prepareFolder } from "../../src/base/atomic.ts";
import { parseJsonObject } from "../../src/base/json.ts";
import { recipeOf } from "../../src/card/recipe.ts";
import { PrunelabError } from "../../src/errors.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import {
  exportModel,
  maskRefinements,
  openCheckpoint,
  type PruneOptions,
  prune as pruneModel,
  pruningMethods,
  writeCheckpoint,
  writeRecipe,
} from "../../src/index.ts";
import { deviceNames } from "../../src/onnx/session.ts";
import { planPruning } from "../../src/prune/options.ts";
import { type Command, defineCommand, flag, value, values } from "./command.ts";
import { commandLine, parseSparsity, parseWhole } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const weightsAlone = pruningMethods.filter(({ needs }) => needs === "nothing").map(({ name }) => name);
const fitting = pruningMethods.filter(({ fitsWeights }) => fitsWeights).map(({ name }) => name);

/** A line for each entry of a table. */
function describe(
  table: readonly { readonly name: string; readonly summary: string; readonly source: string }[],
): string {
  return table.map(({ name, summary, source }) => `  ${name.padEnd(11)} ${summary} (${source})`).join("\n");
}

export const prune: Command = defineCommand({
  usage: "--output <folder> [options]",
  description: `Prunes a model and writes it as a Hugging Face folder with model.safetensors in bfloat16. A calibrated run that was stopped goes on at
the block it had reached.`,
  options: {
    output: value("--output <folder>", "the folder to write"),
    model: value("--model <id or path>", "a Hub id, a folder or a .gguf file", { default: defaultModel }),
    method: value("--method <name>", "how to choose the weights, see below", {
      default: "magnitude",
      words: pruningMethods.map(({ name }) => name),
    }),
    sparsity: value(
      "--sparsity <share>",
      "share of the weights that become zero, in [0, 1) (default: 0.5, or the pattern's)",
      {
        parse: parseSparsity,
      },
    ),
    pattern: value(
      "--pattern <name>",
      "among which weights the least important are chosen: tensor (default), row (default for wanda), global, or n:m such as 2:4",
      { words: ["tensor", "row", "global", "2:4", "4:8"] },
    ),
    scope: value("--scope <regexp>", "names of the tensors to prune (default: the linear layers inside the blocks)"),
    device: value("--device <name>", "where calibration runs; selection is on the CPU", {
      default: "cpu",
      words: deviceNames,
    }),
    onnx: flag("--onnx", "also write the ONNX graph that transformers.js loads"),
    budgets: value(
      "--budgets <budgets>",
      `sparsities of layers: owl (blocks with more outliers keep more), or sparsities by regular expression on tensor names, as JSON such as '{"[kv]_proj": 0.25}'; the other tensors share what is left; not with n:m`,
      { words: ["uniform", "owl"], group: "refinements, on calibration inputs" },
    ),
    refine: value("--refine <name>", "refine the mask, see below", {
      words: maskRefinements.map(({ name }) => name),
      group: "refinements, on calibration inputs",
    }),
    reconstruct: flag(
      "--reconstruct, --no-reconstruct",
      `fit the kept weights to the dense layer's outputs by least squares; default if --refine follows ${fitting.join(" or ")}`,
      { group: "refinements, on calibration inputs" },
    ),
    quantize: value(
      "--quantize <bits>",
      "with sparsegpt: round the kept weights to 4 or 8 bits, blocks of 32 with a step each, while others make up for it",
      { parse: parseWhole, words: ["4", "8"], group: "refinements, on calibration inputs" },
    ),
    calibration: values(
      "--calibration <text>",
      "dolly (default), a .jsonl file or a text file; repeatable, for equal shares",
      {
        group: "calibration",
        words: ["dolly"],
      },
    ),
    windows: value("--windows <count>", "windows of text (default: 64)", { parse: parseWhole, group: "calibration" }),
    windowLength: value("--window-length <n>", "tokens of a window (default: 512)", {
      parse: parseWhole,
      group: "calibration",
    }),
    seed: value("--seed <n>", "of the texts' order, or of --method random", {
      parse: parseWhole,
      default: "0",
      group: "calibration",
    }),
    bos: flag("--no-bos", "leave each window's first position out of the statistics", { group: "calibration" }),
  },
  json: "the report: zeros of each tensor",
  examples: [
    ["--output out", "half of the weights by magnitude; a few seconds"],
    ["--output out --method wanda", "calibrated on 64 x 512 tokens of Dolly-15k; minutes"],
    ["--output out --method sparsegpt --pattern 2:4 --calibration dolly --calibration my.jsonl", "2:4 on two texts"],
    ["--output out --method wanda --refine swaps --reconstruct", "with a refined mask and fitted weights"],
  ],
  notes: `methods:
${describe(pruningMethods)}
refinements of the mask:
${describe(maskRefinements)}
All methods but ${weightsAlone.join(" and ")} are calibrated: they look at the inputs that weights meet on the calibration windows.`,
  resumes: true,
  run: async ({ output, model, bos, windows, windowLength, ...given }) => {
    if (!output) throw new PrunelabError("missing --output; name the folder to write");
    const isGroups = given.pattern?.includes(":") === true;
    const { onProgress, note, finish } = terminalProgress();
    // Words of the command line; the library judges them.
    const options = {
      method: given.method,
      ...(given.pattern !== undefined && { pattern: given.pattern }),
      // An n:m pattern says its sparsity itself.
      ...(!(isGroups && given.sparsity === undefined) && { sparsity: given.sparsity ?? 0.5 }),
      ...(given.scope !== undefined && { scope: given.scope }),
      ...(given.budgets !== undefined && {
        budgets: given.budgets.startsWith("{") ? parseJsonObject(given.budgets, "--budgets") : given.budgets,
      }),
      ...(given.refine !== undefined && { refine: given.refine }),
      ...(given.reconstruct !== undefined && { reconstruct: given.reconstruct }),
      ...(given.quantize !== undefined && { quantize: { bits: given.quantize } }),
      calibration: {
        ...(given.calibration.length > 0 && { source: given.calibration }),
        ...(windows !== undefined && { windows }),
        ...(windowLength !== undefined && { tokens: windowLength }),
        ...(!bos && { countBos: false }),
        seed: given.seed,
      },
      seed: given.seed,
      device: given.device,
      onProgress,
      onNotice: note,
    } as PruneOptions;
    // Mistakes are reported before the model is fetched.
    const plan = planPruning(options);
    if (!("calibration" in plan)) {
      const idle = [
        given.calibration.length > 0 && "--calibration",
        windows !== undefined && "--windows",
        windowLength !== undefined && "--window-length",
        !bos && "--no-bos",
      ].find((flag) => flag);
      if (idle) {
        throw new PrunelabError(
          `nothing to calibrate; ${plan.method.name} looks at weights alone: ${idle}; leave it out or choose e.g. --method wanda`,
        );
      }
    }
    await refuseOwnFolder(model, output);
    await prepareFolder(output);
    const dense = await openCheckpoint(model, { onProgress, onNotice: note });
    const pruned = await pruneModel(dense, options);
    await writeCheckpoint(pruned, output, { onProgress });
    await writeRecipe(output, await recipeOf(dense, pruned, plan, commandLine()));
    if (given.onnx) await exportModel(pruned, output, { onProgress });
    finish();
    return { text: `${pruned.report.summary}\n${output}`, json: { ...pruned.report, folder: output } };
  },
});

/** The dense model would be gone. */
export async function refuseOwnFolder(model: string, output: string): Promise<void> {
  const own = await realpath(model).catch(() => undefined);
  const target = await realpath(output).catch(() => undefined);
  if (own === undefined || target === undefined || ![own, dirname(own)].includes(target)) return;
  throw new PrunelabError(`--output is where the model itself lies: ${output}; name another folder`);
}

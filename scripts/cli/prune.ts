/** `prunelab prune`: prunes a model and writes it as a folder. */
import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { prepareFolder } from "../../src/base/atomic.ts";
import { parseJsonObject } from "../../src/base/json.ts";
import { PrunelabError } from "../../src/errors.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { exportModel, openCheckpoint, type PruneOptions, prune, writeCheckpoint } from "../../src/index.ts";
import { planPruning } from "../../src/prune/options.ts";
import { parseSparsity, parseWhole } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const help = `usage: prunelab prune --output <folder> [options]

--model <id or path>   default ${defaultModel}
--method <name>        what makes a weight important; default magnitude
    magnitude          its size
    random             nothing, for control
    wanda              its size times the norm of the inputs it meets
    ria                the same relative to its row and column
    sparsegpt          what the weights that stay cannot make good, which are changed to do so
    admm               the same, with mask and weights sought together
--sparsity <share>     in [0, 1); default 0.5
--pattern <name>       where the least important are sought: tensor (default), row (default for wanda), global, or n:m such as 2:4
--scope <regexp>       names of the tensors to prune; default: the linear layers inside the blocks
--device <name>        where magnitude, random, wanda and ria select: cpu (default), webgpu, or auto, a GPU for wanda and ria where there is one
--onnx                 also write the ONNX graph that transformers.js loads

All methods but magnitude and random look at inputs, on calibration windows. So do these, which work with magnitude too:
--budgets <budgets>    owl: blocks with more outliers keep more; or sparsities of tensors by regular expression, for which the others make up, such as
                       '{"[kv]_proj": 0.25}'; not with n:m
--refine <name>        betters the mask: dsnot or swaps
--reconstruct          fits the weights that stay to the dense layer's outputs; so does --refine after sparsegpt and admm
--compensate           lets admm and --reconstruct fit to outputs nearer to the dense model's, to make good some of what earlier blocks lost

--calibration <text>   dolly (default), a .jsonl file or a text file; may be given again, for equal shares
--windows <count>      default 64
--window-length <n>    tokens of a window; default 512
--seed <n>             of the texts' order, or of --method random; default 0
--no-bos               leaves each window's first position out of what is measured

Writes a Hugging Face folder with model.safetensors in bfloat16. A calibrated run that was stopped goes on at the block it had reached.`;

export async function runPrune(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      model: { type: "string", default: defaultModel },
      method: { type: "string", default: "magnitude" },
      sparsity: { type: "string" },
      pattern: { type: "string" },
      scope: { type: "string" },
      device: { type: "string", default: "cpu" },
      budgets: { type: "string" },
      refine: { type: "string" },
      reconstruct: { type: "boolean" },
      compensate: { type: "boolean", default: false },
      calibration: { type: "string", multiple: true },
      windows: { type: "string" },
      "window-length": { type: "string" },
      seed: { type: "string", default: "0" },
      bos: { type: "boolean" },
      output: { type: "string" },
      onnx: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(help);
  if (!values.output) throw new PrunelabError("missing --output; name the folder to write");
  const { windows, "window-length": tokens } = values;
  const seed = parseWhole("--seed", values.seed);
  const isGroups = values.pattern?.includes(":") === true;
  const { onProgress, note, finish } = terminalProgress();
  // Words of the command line; the library judges them.
  const options = {
    method: values.method,
    ...(values.pattern !== undefined && { pattern: values.pattern }),
    // An n:m pattern says its sparsity itself.
    ...(!(isGroups && values.sparsity === undefined) && { sparsity: parseSparsity(values.sparsity ?? "0.5") }),
    ...(values.scope !== undefined && { scope: values.scope }),
    ...(values.budgets !== undefined && {
      budgets: values.budgets.startsWith("{") ? parseJsonObject(values.budgets, "--budgets") : values.budgets,
    }),
    ...(values.refine !== undefined && { refine: values.refine }),
    ...(values.reconstruct !== undefined && { reconstruct: values.reconstruct }),
    compensate: values.compensate,
    calibration: {
      ...(values.calibration && { source: values.calibration }),
      ...(windows !== undefined && { windows: parseWhole("--windows", windows) }),
      ...(tokens !== undefined && { tokens: parseWhole("--window-length", tokens) }),
      ...(values.bos !== undefined && { countBos: values.bos }),
      seed,
    },
    seed,
    device: values.device,
    onProgress,
    onNotice: note,
  } as PruneOptions;
  // Mistakes are told before the model is fetched.
  const plan = planPruning(options);
  if (!("calibration" in plan)) {
    const idle = (["calibration", "windows", "window-length", "bos"] as const).find(
      (name) => values[name] !== undefined,
    );
    if (idle) {
      throw new PrunelabError(
        `nothing to calibrate; ${plan.method} looks at weights alone: --${idle === "bos" && !values.bos ? "no-bos" : idle}; leave it out or choose e.g. --method wanda`,
      );
    }
  }
  await refuseOwnFolder(values.model, values.output);
  await prepareFolder(values.output);
  const dense = await openCheckpoint(values.model, { onProgress, onNotice: note });
  const pruned = await prune(dense, options);
  await writeCheckpoint(pruned, values.output, { onProgress });
  if (values.onnx) await exportModel(pruned, values.output, { onProgress });
  finish();
  console.log(pruned.report.summary);
  console.log(values.output);
}

/** The dense model would be gone. */
async function refuseOwnFolder(model: string, output: string): Promise<void> {
  const own = await realpath(model).catch(() => undefined);
  const target = await realpath(output).catch(() => undefined);
  if (own === undefined || target === undefined || ![own, dirname(own)].includes(target)) return;
  throw new PrunelabError(`--output is where the model itself lies: ${output}; name another folder`);
}

/** `prunelab prune`: prunes a model and writes it as a folder. */
import { parseArgs } from "node:util";
import { PrunelabError } from "../src/errors.ts";
import { exportModel, openCheckpoint, type PruneOptions, prune, writeCheckpoint } from "../src/index.ts";
import { defaultModel } from "../src/open-checkpoint.ts";
import { parseSparsity } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const help = `usage: prunelab prune --output <folder> [options]

--model <id or path>   default ${defaultModel}
--method <name>        magnitude (default), random, wanda, ria, sparsegpt or admm
--sparsity <share>     in [0, 1); default 0.5
--pattern <name>       tensor (default), row, global, or n:m such as 2:4
--scope <regexp>       names of the tensors to prune; default: the linear layers inside the blocks
--device <name>        cpu (default), auto or webgpu
--onnx                 also write the ONNX graph that transformers.js loads

Writes a Hugging Face folder with model.safetensors in bfloat16.`;

export async function runPrune(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string", default: defaultModel },
      method: { type: "string", default: "magnitude" },
      sparsity: { type: "string" },
      pattern: { type: "string" },
      scope: { type: "string" },
      device: { type: "string", default: "cpu" },
      output: { type: "string" },
      onnx: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(help);
  if (values.output === undefined) throw new PrunelabError("missing --output; name the folder to write");
  // An n:m pattern says its sparsity itself.
  const sparsity =
    values.sparsity === undefined && values.pattern?.includes(":")
      ? {}
      : { sparsity: parseSparsity(values.sparsity ?? "0.5") };
  const { onProgress, note, finish } = terminalProgress();
  const dense = await openCheckpoint(values.model, { onProgress, onNotice: note });
  const pruned = await prune(dense, {
    // Words of the command line; the library judges them.
    method: values.method as PruneOptions["method"],
    ...(values.pattern === undefined ? {} : { pattern: values.pattern as NonNullable<PruneOptions["pattern"]> }),
    ...(values.scope === undefined ? {} : { scope: values.scope }),
    ...sparsity,
    device: values.device as NonNullable<PruneOptions["device"]>,
    onProgress,
    onNotice: note,
  });
  await writeCheckpoint(pruned, values.output, { onProgress });
  if (values.onnx) await exportModel(pruned, values.output, { onProgress });
  finish();
  console.log(pruned.report.summary);
  console.log(values.output);
}

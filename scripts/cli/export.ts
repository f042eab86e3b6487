/** `prunelab export`: writes a model in a form that others run it in. */
import { exportForms, findForm } from "../../src/export/forms.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { exportModel, openCheckpoint, readAdapter } from "../../src/index.ts";
import { type Command, defineCommand, flag, UsageError, value } from "./command.ts";
import { terminalProgress } from "./progress.ts";
import { refuseOwnFolder } from "./prune.ts";
import { publish, publishOptions, wantsPublishing } from "./publish.ts";

const names = exportForms.map(({ name }) => name);

/** `5GB`, `800MB`, or a number of bytes. */
function parseBytes(text: string, flag: string): number {
  const [, count, unit = ""] = /^(\d+(?:\.\d+)?)\s*([KMG]?)B?$/i.exec(text) ?? [];
  const bytes = Number(count) * 1000 ** " KMG".indexOf(unit.toUpperCase() || " ");
  if (bytes >= 1) return Math.floor(bytes);
  throw new UsageError(`invalid ${flag}; a size such as 800MB or 5GB: ${text}`);
}

export const exportCommand: Command = defineCommand({
  usage: "--to <form> --output <folder> [options]",
  description: `Writes a model, pruned or not, in a form that others run it in, reads it again, and says in a line what was written. Zeros stay zero in
every form. Weights that are there are not written over without --force. With --card the model gets a card for the Hugging Face Hub, made from its
recipe (prunelab.json, which prunelab prune leaves beside a model) and from results files; without --to, what --output
holds gets it. --push sends the folder to the Hub as one commit: with the token of HF_TOKEN or hf auth login, to a private repository, and after a
question. A push that broke off goes on with the same words without --to: files that had arrived are not sent again.`,
  options: {
    to: value("--to <form>", "which form, see below", { parse: (text) => findForm(text).name, words: names }),
    output: value("--output <folder>", "the folder to write"),
    model: value("--model <id or path>", "a Hub id, a folder or a .gguf file", { default: defaultModel }),
    base: value(
      "--base <id or path>",
      "for gguf: the .gguf model that it was made from, whose blocks stay where nothing changed",
    ),
    mask: flag("--mask", "write mask.safetensors too: which weights are kept, for training elsewhere"),
    adapter: value("--adapter <folder>", "an adapter of this model, to be put beside it in adapter/"),
    shardSize: value("--shard-size <size>", "for safetensors: the most that a file holds, such as 5GB", {
      parse: parseBytes,
      default: "5GB",
    }),
    force: flag("--force", "write over weights, or a README.md, that are there"),
    ...publishOptions,
  },
  json: "form, folder and files",
  examples: [
    ["--model pruned --to safetensors:bf16 --output hf --mask", "a Hugging Face folder, and the mask for fine-tuning"],
    ["--model pruned --to gguf:q8_0 --output gguf", "a file for llama.cpp"],
    ["--model pruned --to onnx:fp32 --output web", "a folder for transformers.js"],
    ["--card --output pruned --results results", "a card with the scores of prunelab evaluate --output results"],
    ["--push me/pruned --card --results results --output pruned", "the same, and the folder to the Hub"],
    ["--push-results me/scores --results results --output pruned", "scores and every answer as a data set"],
  ],
  notes: `forms:
${exportForms.map(({ name, summary }) => `  ${name.padEnd(17)} ${summary}`).join("\n")}
At 50 % unstructured zeros no mainstream runtime is faster; for size and speed choose a quantised form.`,
  run: async ({ to, output, base: baseName, mask, adapter: adapterFolder, shardSize, force, ...given }) => {
    const publishes = await wantsPublishing(given);
    if (to === undefined && !publishes) throw new UsageError(`missing --to; choose one of ${names.join(", ")}`);
    if (output === undefined) throw new UsageError("missing --output; name the folder to write");
    const model = to === undefined && given.model === defaultModel ? output : given.model;
    // Graphs and a GGUF may lie beside the model that they are made of.
    if (to !== undefined && /^(safetensors|sparse)/.test(to)) await refuseOwnFolder(model, output);
    const { onProgress, note, finish } = terminalProgress();
    const opening = { onProgress, onNotice: note };
    const adapter = adapterFolder === undefined ? undefined : await readAdapter(adapterFolder);
    const base = baseName === undefined ? undefined : await openCheckpoint(baseName, opening);
    if (base && !base.gguf) throw new UsageError(`--base is not a .gguf model: ${baseName}; leave it out`);
    // A push alone needs no model, and a folder of graphs alone is none that opens.
    const checkpoint = to === undefined && !given.card ? undefined : await openCheckpoint(model, opening);
    const options = { mask, force, shardBytes: shardSize, onProgress };
    const { summary, ...json } =
      to === undefined || checkpoint === undefined
        ? { summary: undefined, folder: output }
        : await exportModel(checkpoint, output, {
            ...{ to, ...options },
            ...(base && { base }),
            ...(adapter && { adapter }),
          });
    const published = await publish(given, { checkpoint, model, folder: output, force, onProgress });
    finish();
    return { text: [...(summary === undefined ? [] : [summary]), ...published].join("\n"), json };
  },
});

/** `prunelab export`: writes a model in a form that others run it in. */
import { exportForms } from "../../src/export/forms.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { exportModel, openCheckpoint } from "../../src/index.ts";
import { type Command, defineCommand, flag, UsageError, value } from "./command.ts";
import { oneOf } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const names = exportForms.map(({ name }) => name);

export const exportCommand: Command = defineCommand({
  usage: "--to <form> --output <folder> [options]",
  description: "Writes a model, pruned or not, in a form that others run it in, and reads it again.",
  options: {
    to: value("--to <form>", "which form, see below", { parse: oneOf(names), words: names }),
    output: value("--output <folder>", "the folder to write"),
    model: value("--model <id or path>", "a Hub id, a folder or a .gguf file", { default: defaultModel }),
    force: flag("--force", "write over weights that are there"),
  },
  json: "form, folder and files",
  examples: [["--model pruned --to onnx:fp32 --output web", "a folder for transformers.js"]],
  notes: `forms:
${exportForms.map(({ name, summary }) => `  ${name.padEnd(17)} ${summary}`).join("\n")}`,
  run: async ({ to, output, model, force }) => {
    if (to === undefined) throw new UsageError(`missing --to; choose one of ${names.join(", ")}`);
    if (output === undefined) throw new UsageError("missing --output; name the folder to write");
    const { onProgress, note, finish } = terminalProgress();
    const checkpoint = await openCheckpoint(model, { onProgress, onNotice: note });
    const { summary, ...json } = await exportModel(checkpoint, output, { to, force, onProgress });
    finish();
    return { text: summary, json };
  },
});

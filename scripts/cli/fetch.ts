/** `prunelab fetch`: gets a model into the cache and prints its path. */
import { locateModel } from "../../src/hub/model-source.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { type Command, defineCommand, value } from "./command.ts";
import { terminalProgress } from "./progress.ts";

export const fetch: Command = defineCommand({
  usage: "[model] [options]",
  description: `Gets a model into the cache, unless it is there or in Hugging Face's own cache, and prints where it is.
The model is a Hub id (default ${defaultModel}), a folder or a .gguf file.`,
  operands: "one",
  options: { revision: value("--revision <name>", "branch, tag or commit of the Hub repository") },
  json: "the model's path and name",
  examples: [
    ["", `${defaultModel}: 0.25 to 0.54 GB, once`],
    ["unsloth/gemma-3-270m-it --revision main", "another model of the same architecture"],
  ],
  run: async ({ revision }, [model = defaultModel]) => {
    const { onProgress, note } = terminalProgress();
    const options = { ...(revision !== undefined && { revision }), onProgress, onNotice: note };
    const { path, name } = await locateModel(model, options);
    return { text: path, json: { name, path } };
  },
});

/** `prunelab fetch`: gets a model into the cache and prints its path. */
import { parseArgs } from "node:util";
import { locateModel } from "../../src/hub/model-source.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { terminalProgress } from "./progress.ts";

const help = `usage: prunelab fetch [model] [--revision <name>]

model       a Hub id (default ${defaultModel}), a folder or a .gguf file
--revision  a branch, tag or commit of the Hub repository`;

export async function runFetch(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { revision: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) return console.log(help);
  const { onProgress, note } = terminalProgress();
  const { path } = await locateModel(positionals[0] ?? defaultModel, {
    ...(values.revision === undefined ? {} : { revision: values.revision }),
    onProgress,
    onNotice: note,
  });
  console.log(path);
}

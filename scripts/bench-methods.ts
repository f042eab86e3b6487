/** `npm run bench:methods`: prunes by one recipe after the other and tells what each leaves of the model. */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { evaluate } from "../src/evaluate/evaluate.ts";
import { perplexity } from "../src/evaluate/perplexity.ts";
import { parseJsonObject } from "../src/files/json.ts";
import { loadLanguageModel, openCheckpoint, type PruneOptions, prune } from "../src/index.ts";
import { defaultModel } from "../src/open-checkpoint.ts";
import { loadCalibration } from "../src/prune/calibration.ts";
import { parseLimit, parseWhole } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const help = `usage: npm run bench:methods -- --text <file> [options] ['{"method":"wanda","sparsity":0.5}' …]

--text <file>        of which perplexity is taken, e.g. WikiText-2's wiki.test.raw
--windows <count>    of 2,048 tokens of it; default 12
--task <name>        may be given again; default hellaswag
--limit <n>          documents of each task; default 200
--model <id or path> default ${defaultModel}
--token-ids <file>   JSON with "windows": calibration windows for every recipe

Each recipe is the options of prune, as JSON; {} is the dense model. Prints a row of a Markdown table as soon as it is known. Finished prunings
and answers are kept in the cache, so a stopped run goes on where it was.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    text: { type: "string" },
    windows: { type: "string", default: "12" },
    task: { type: "string", multiple: true, default: ["hellaswag"] },
    limit: { type: "string", default: "200" },
    model: { type: "string", default: defaultModel },
    "token-ids": { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help || values.text === undefined || positionals.length === 0) console.log(help);
else await bench(values.text);

async function bench(text: string): Promise<void> {
  const { onProgress, note, finish } = terminalProgress();
  const dense = await openCheckpoint(values.model, { onProgress, onNotice: note });
  const { windows } = await loadCalibration(dense, {
    source: text,
    windows: parseWhole("--windows", values.windows),
    tokens: 2048,
  });
  const path = values["token-ids"];
  const tokenIds = path && (parseJsonObject(await readFile(path, "utf8"), path).windows as number[][]);
  console.log(
    `| recipe | pruning, s | perplexity | ${values.task.map((task) => `${task} acc, acc_norm`).join(" | ")} |`,
  );
  console.log(`|---|---:|---:|${values.task.map(() => "---:|").join("")}`);
  for (const recipe of positionals) {
    const options = parseJsonObject(recipe, "recipe");
    const started = performance.now();
    const asked = {
      ...options,
      calibration: { ...(options.calibration ?? {}), ...(tokenIds ? { tokenIds } : {}) },
      onProgress,
      onNotice: note,
    };
    // The library checks what the recipe says.
    const checkpoint = Object.keys(options).length === 0 ? dense : await prune(dense, asked as unknown as PruneOptions);
    const seconds = (performance.now() - started) / 1000;
    const model = await loadLanguageModel(checkpoint, { onProgress });
    const { tasks } = await evaluate(model, values.task, { limit: parseLimit(values.limit), onProgress });
    const scores = tasks.map(({ metrics: { acc, acc_norm } }) => `${acc?.value ?? ""}, ${acc_norm?.value ?? ""}`);
    const value = await perplexity(model, windows, { onProgress });
    await model.release();
    finish();
    console.log(`| \`${recipe}\` | ${seconds.toFixed(0)} | ${value.toFixed(3)} | ${scores.join(" | ")} |`);
  }
}

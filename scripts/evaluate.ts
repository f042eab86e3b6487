/** `prunelab evaluate`: scores a model on benchmarks and writes lm-eval's files. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { evaluate, loadLanguageModel, openCheckpoint, writeResults } from "../src/index.ts";
import { defaultModel } from "../src/open-checkpoint.ts";
import { resultsTable } from "../src/report/results-table.ts";
import { parseLimit } from "./options.ts";
import { duration, terminalProgress } from "./progress.ts";

const help = `usage: prunelab evaluate [options]

--model <id or path>   default ${defaultModel}
--tasks <a,b>          lm-eval's names of tasks and groups; default hellaswag
--limit <n>            first n documents of each task, a share below 1, or all; default all
--output <folder>      for results_*.json and samples_*.jsonl; default data/results
--fresh                score anew what an earlier run has scored`;

export async function runEvaluate(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string", default: defaultModel },
      tasks: { type: "string", default: "hellaswag" },
      limit: { type: "string", default: "all" },
      output: { type: "string", default: join("data", "results") },
      fresh: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(help);
  const limit = parseLimit(values.limit);
  const { onProgress, note, finish } = terminalProgress();
  const model = await loadLanguageModel(await openCheckpoint(values.model, { onProgress, onNotice: note }), {
    onProgress,
  });
  const evaluation = await evaluate(model, values.tasks.split(","), { limit, fresh: values.fresh, onProgress });
  await model.release();
  finish();
  const { results } = await writeResults(evaluation, values.output);
  console.log(resultsTable(evaluation));
  console.log(`${duration(evaluation.seconds)}; ${results}`);
}

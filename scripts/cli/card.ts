/** `prunelab card`, the main job: prune, score dense and pruned, print the model card's table with ours beside it, and keep it all. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../../src/base/atomic.ts";
import { duration } from "../../src/base/duration.ts";
import { cardReport } from "../../src/card/card-report.ts";
import { compareWithCard, textTable } from "../../src/card/card-table.ts";
import { sweelolCard } from "../../src/card/published.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import {
  type Checkpoint,
  compare,
  type Evaluation,
  evaluate,
  exportModel,
  loadLanguageModel,
  openCheckpoint,
  prune,
  writeCheckpoint,
  writeResults,
} from "../../src/index.ts";
import { parseLimit, parseSparsity } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const help = `usage: prunelab card [options]

Prunes a model by magnitude, scores it and the dense model on HellaSwag and five MMLU subjects (zero-shot, lm-evaluation-harness's
rules), and prints the model card's table with ours beside it.

--model <id or path>   default ${defaultModel}
--sparsity <share>     of each linear layer inside the blocks; default 0.5
--limit <n>            first n documents of each task, a share below 1, or all; default 200
--output <folder>      for results, samples, report and the pruned model; default data/results
--fresh                score anew what an earlier run has scored
--no-model             do not write the pruned model

The benchmarks' files are looked for in the folder PRUNELAB_DATA, then on the Hugging Face Hub; without both, small demo tasks are scored.
Models and answers are kept in the cache (see prunelab cache). A stopped run goes on where it was.`;

export async function runCard(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string", default: defaultModel },
      sparsity: { type: "string", default: "0.5" },
      limit: { type: "string", default: "200" },
      output: { type: "string", default: join("data", "results") },
      fresh: { type: "boolean", default: false },
      "no-model": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(help);
  const { fresh, output } = values;
  const limit = parseLimit(values.limit);
  const sparsity = parseSparsity(values.sparsity);
  const { onProgress, note, finish } = terminalProgress();
  const run = stopwatch();

  const dense = await openCheckpoint(values.model, { onProgress, onNotice: note });
  run.lap("open");
  const pruned = await prune(dense, { method: "magnitude", sparsity, onProgress });
  note(`pruned in ${duration(run.lap("prune"))}: ${pruned.report.summary}`);

  const score = async (checkpoint: Checkpoint, which: "dense" | "pruned"): Promise<Evaluation> => {
    const model = await loadLanguageModel(checkpoint, { onProgress });
    note(`${checkpoint.name} is ready to score after ${duration(run.lap(`load ${which}`))}`);
    try {
      const evaluation = await evaluate(
        model,
        sweelolCard.map(({ task }) => task),
        { limit, fresh, onProgress },
      );
      finish();
      const reused = evaluation.reusedAnswers > 0 ? `, ${evaluation.reusedAnswers} answers from an earlier run` : "";
      note(`scored ${checkpoint.name} in ${duration(run.lap(`score ${which}`))}${reused}`);
      return evaluation;
    } finally {
      await model.release();
    }
  };
  const evaluations = { dense: await score(dense, "dense"), pruned: await score(pruned, "pruned") };

  const written = [await writeResults(evaluations.dense, output), await writeResults(evaluations.pruned, output)];
  const reportPath = join(output, "report.md");
  const comparison = compare(evaluations.dense, evaluations.pruned);
  const report = cardReport({ ...evaluations, sparsity: pruned.report, comparison: comparison.markdown });
  await writeFileAtomic(reportPath, report.markdown);
  let modelFolder: string | undefined;
  if (!values["no-model"]) {
    modelFolder = join(output, "models", pruned.name.split("/").at(-1)!);
    await writeCheckpoint(pruned, modelFolder, { onProgress });
    await exportModel(pruned, modelFolder, { onProgress });
  }
  finish();
  run.lap("write");
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  await writeFileAtomic(join(output, "run.json"), `${JSON.stringify({ seconds: run.laps, peakBytes }, null, 2)}\n`);

  for (const warning of report.warnings) console.log(`\n${warning}`);
  console.log(`\n${textTable(compareWithCard(evaluations.dense, evaluations.pruned))}\n`);
  for (const conclusion of comparison.conclusion) console.log(conclusion);
  console.log("\naccuracy in percent, change in points; card: sweelol/gemma3-270m-pruned-baseline-50pc");
  for (const { results } of written) console.log(`results  ${results}`);
  console.log(`report   ${reportPath}`);
  if (modelFolder) console.log(`model    ${modelFolder}`);
  const total = Object.values(run.laps).reduce((sum, lap) => sum + lap, 0);
  console.log(`${duration(total)} in all, ${(peakBytes / 1e9).toFixed(1)} GB of memory at the peak`);
}

/** Times the steps of the run: `lap` names the step that has just ended and gives its seconds. */
function stopwatch(): { lap: (name: string) => number; laps: Record<string, number> } {
  const laps: Record<string, number> = {};
  let since = performance.now();
  const lap = (name: string) => {
    const now = performance.now();
    const seconds = (now - since) / 1000;
    laps[name] = seconds;
    since = now;
    return seconds;
  };
  return { lap, laps };
}

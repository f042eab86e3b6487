/** `prunelab card`, the main job: prune, score dense and pruned, print the model card's table with ours beside it, and keep it all. */
import { join } from "node:path";
import { prepareFolder, writeFileAtomic } from "../../src/base/atomic.ts";
import { duration } from "../../src/base/duration.ts";
import { cardReport } from "../../src/card/card-report.ts";
import { compareWithCard, textTable } from "../../src/card/card-table.ts";
import { sweelolCard } from "../../src/card/published.ts";
import { recipeOf } from "../../src/card/recipe.ts";
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
  writeModelCard,
  writeRecipe,
  writeResults,
} from "../../src/index.ts";
import { planPruning } from "../../src/prune/options.ts";
import { type Command, defineCommand, flag, type Result, value } from "./command.ts";
import { remarks } from "./evaluate.ts";
import { commandLine, parseLimit, parseSparsity } from "./options.ts";
import { terminalProgress } from "./progress.ts";

interface CardValues {
  model: string;
  sparsity: number;
  limit: number | null;
  output: string;
  fresh: boolean;
  /** Whether to write the pruned model. */
  writesModel: boolean;
}

export const card: Command = defineCommand({
  description: `Prunes a model by magnitude, scores it and the dense model on HellaSwag and five MMLU subjects (zero-shot, lm-evaluation-harness's
rules), and prints the table of a model card with ours beside it.`,
  options: {
    model: value("--model <id or path>", "a Hub id, a folder or a .gguf file", { default: defaultModel }),
    sparsity: value("--sparsity <share>", "of each linear layer inside the blocks", {
      parse: parseSparsity,
      default: "0.5",
    }),
    limit: value("--limit <n>", "first n documents of each task, a share below 1, or all", {
      parse: parseLimit,
      default: "200",
      words: ["all"],
    }),
    output: value("--output <folder>", "for results, samples, report and the pruned model", {
      default: join("data", "results"),
    }),
    fresh: flag("--fresh", "score anew what an earlier run has scored"),
    writesModel: flag("--no-model", "do not write the pruned model"),
  },
  json: "the table's rows",
  examples: [
    ["", "the model card's table, from the first 200 documents of each task"],
    ["--sparsity 0.3 --limit 50 --no-model", "a quick look at another sparsity"],
  ],
  notes: `The benchmarks' files are looked for in the folder PRUNELAB_DATA, then on the Hugging Face Hub; without both, small demo tasks are scored.
Models and answers are kept in the cache (see prunelab cache). A stopped run goes on where it was.`,
  resumes: true,
  run: runCard,
});

async function runCard({ sparsity, limit, output, fresh, writesModel, ...values }: CardValues): Promise<Result> {
  await prepareFolder(output);
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
  if (writesModel) {
    modelFolder = join(output, "models", pruned.name.split("/").at(-1)!);
    await writeCheckpoint(pruned, modelFolder, { onProgress });
    await exportModel(pruned, modelFolder, { onProgress });
    const recipe = await recipeOf(dense, pruned, planPruning({ method: "magnitude", sparsity }), commandLine());
    await writeRecipe(modelFolder, recipe);
    await writeModelCard(pruned, modelFolder, { recipe, results: output });
  }
  finish();
  run.lap("write");
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  await writeFileAtomic(join(output, "run.json"), `${JSON.stringify({ seconds: run.laps, peakBytes }, null, 2)}\n`);

  const rows = compareWithCard(evaluations.dense, evaluations.pruned);
  const total = Object.values(run.laps).reduce((sum, lap) => sum + lap, 0);
  const text = [
    ...report.warnings.map((warning) => `\n${warning}`),
    `\n${textTable(rows)}\n`,
    ...comparison.conclusion,
    ...remarks(evaluations.dense).filter((remark) => remark.includes("fewer than")),
    "\naccuracy in percent, change in points; card: sweelol/gemma3-270m-pruned-baseline-50pc",
    ...written.map(({ results }) => `results  ${results}`),
    `report   ${reportPath}`,
    ...(modelFolder ? [`model    ${modelFolder}`, `card     ${join(modelFolder, "README.md")}`] : []),
    `${duration(total)} in all, ${(peakBytes / 1e9).toFixed(1)} GB of memory at the peak`,
  ];
  return { text: text.join("\n"), json: rows };
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

/** `npm run bench:methods`: a study of pruning recipes that tells what each leaves of the model. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openMemoryMeter } from "../../kernel/runner/memory-meter.ts";
import { parseJsonObject } from "../../src/base/json.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import type { Checkpoint } from "../../src/checkpoint/checkpoint.ts";
import { perplexity } from "../../src/evaluate/perplexity.ts";
import { mcnemar } from "../../src/evaluate/statistics.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { loadLanguageModel, openCheckpoint, type PruneOptions, planSweep, prune, runSweep } from "../../src/index.ts";
import { loadCalibration } from "../../src/prune/calibration.ts";
import { readResult, type UnitResult } from "../../src/sweep/results.ts";
import type { StudyRecipe } from "../../src/sweep/study.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseLimit, parseWhole } from "../cli/options.ts";
import { terminalProgress } from "../cli/progress.ts";

const baseline = '{"method":"magnitude","sparsity":0.5}';
const help = `usage: npm run bench:methods -- [options] ['{"method":"wanda","sparsity":0.5}' …]

--windows <count>    of 2,048 tokens of WikiText-2 for the perplexity; default 12
--task <name>        may be given again; default hellaswag, piqa, arc_easy
--limit <n>          documents of each task; default 200
--model <id or path> default ${defaultModel}
--token-ids <file>   JSON with "windows": calibration windows for every recipe
--choose             only the perplexity of 16 windows of 512 tokens of Dolly-15k (seed 1), to choose a recipe by before it is reported

--output <folder>    of the study, where results are kept; default data/results/methods

Each recipe is the options of prune, as JSON; {} is the dense model. Prints a row of a Markdown table as soon as it is known: accuracy in percent with its
95 % interval and the mid-p of McNemar's test against ${baseline} on the same documents. A recipe whose result is in the folder is not measured again, and
shows no peak memory; finished prunings and answers are kept in the cache, so a stopped run goes on where it was, and pruning's time may be that of reading them.`;

explainErrors("bench:methods");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    windows: { type: "string", default: "12" },
    task: { type: "string", multiple: true, default: ["hellaswag", "piqa", "arc_easy"] },
    limit: { type: "string", default: "200" },
    model: { type: "string", default: defaultModel },
    "token-ids": { type: "string" },
    choose: { type: "boolean", default: false },
    output: { type: "string", default: join(packageRoot(), "data", "results", "methods") },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help || positionals.length === 0) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const { onProgress, note } = terminalProgress();
  const dense = await openCheckpoint(values.model, { onProgress, onNotice: note });
  const path = values["token-ids"];
  const tokenIds = path && (parseJsonObject(await readFile(path, "utf8"), path).windows as number[][]);
  const recipeOf = (text: string) => {
    const options = parseJsonObject(text, "recipe");
    return tokenIds ? { ...options, calibration: { ...(options.calibration ?? {}), tokenIds } } : options;
  };
  await (values.choose ? choose(dense, recipeOf) : study(dense, recipeOf));
}

/** All recipes as a study's units, a row for each. */
async function study(dense: Checkpoint, recipeOf: (text: string) => Record<string, unknown>): Promise<void> {
  const { onProgress, note, finish } = terminalProgress();
  const texts = [...new Set([baseline, ...positionals])];
  const pruned = texts.filter((text) => Object.keys(parseJsonObject(text, "recipe")).length > 0);
  const checkpoints = new Map([[values.model, dense]]);
  const units = await planSweep(
    {
      ...{ model: values.model, methods: pruned.map((text) => recipeOf(text) as unknown as StudyRecipe) },
      ...(pruned.length < texts.length && { sparsities: [0] }),
      ...{ tasks: values.task, limit: parseLimit(values.limit), windows: parseWhole(values.windows, "--windows") },
    },
    { source: "recipes", checkpoints },
  );
  const names = [...texts.filter((text) => !pruned.includes(text)), ...pruned];
  const byText = new Map(names.map((text, index) => [text, units[index]!]));
  printHeader(["pruning, s", "peak, GB", "WikiText-2 perplexity", ...values.task]);
  let reference: UnitResult | undefined;
  for (const text of texts) {
    const unit = byText.get(text)!;
    const isKnown = typeof (await readResult(values.output, unit.id)) === "object";
    const meter = openMemoryMeter(process.pid);
    meter.reset();
    await runSweep([unit], { output: values.output, checkpoints, onProgress, onNotice: note });
    const gigabytes = isKnown ? "" : ((meter.peakBytes() ?? 0) / 1e9).toFixed(2);
    meter.close();
    finish();
    const result = await readResult(values.output, unit.id);
    // Why is on standard error.
    if (typeof result !== "object") continue;
    reference ??= result;
    const tasks = await Promise.all(values.task.map((task) => cell(task, result, reference!)));
    const score = result.rows.find(({ metric }) => metric === "perplexity")!.score.toFixed(3);
    console.log(
      `| \`${text}\` | ${result.seconds.prune.toFixed(1)} | ${gigabytes} | ${[score, ...tasks].join(" | ")} |`,
    );
  }
}

/** The perplexity on texts that nothing is reported on. */
async function choose(dense: Checkpoint, recipeOf: (text: string) => Record<string, unknown>): Promise<void> {
  const { onProgress, note, finish } = terminalProgress();
  const heldOut = await loadCalibration(dense, { windows: 16, seed: 1 });
  printHeader(["pruning, s", "Dolly perplexity"]);
  for (const text of new Set(positionals)) {
    const options = recipeOf(text);
    const started = performance.now();
    const told = { ...options, onProgress, onNotice: note } as unknown as PruneOptions;
    const checkpoint = options.method === undefined ? dense : await prune(dense, told);
    const seconds = (performance.now() - started) / 1000;
    const model = await loadLanguageModel(checkpoint, { onProgress });
    const measured = await perplexity(model, heldOut.windows, { onProgress });
    await model.release();
    finish();
    console.log(`| \`${text}\` | ${seconds.toFixed(1)} | ${measured.toFixed(3)} |`);
  }
}

function printHeader(columns: readonly string[]): void {
  console.log(`| recipe | ${columns.join(" | ")} |`);
  console.log(`|---|${"---:|".repeat(columns.length)}`);
}

/** Accuracies in percent, the first with its interval and its test against the reference. */
async function cell(task: string, result: UnitResult, reference: UnitResult): Promise<string> {
  const percent = (share: number | null) => (100 * share!).toFixed(1);
  const find = (metric: string) => result.rows.find((row) => row.task === task && row.metric === metric);
  const { score, low, high } = find("acc")!;
  const normalised = find("acc_norm");
  const second = normalised ? `; acc_norm ${percent(normalised.score)}` : "";
  const [before, after] = [await rightsOf(task, reference), await rightsOf(task, result)];
  const lost = before.filter((right, index) => right && !after[index]).length;
  const won = before.filter((right, index) => !right && after[index]).length;
  const p = mcnemar(lost, won);
  const test = result === reference ? "" : `, p ${p < 0.001 ? "< 0.001" : p.toFixed(3)}`;
  return `${percent(score)} [${percent(low)}, ${percent(high)}]${test}${second}`;
}

/** Whether each document was answered right, from lm-eval's file of samples. */
async function rightsOf(task: string, { files }: UnitResult): Promise<boolean[]> {
  const lines = (await readFile(join(values.output, files!.samples[task]!), "utf8")).trimEnd().split("\n");
  return lines.map((line) => (JSON.parse(line) as { acc: number }).acc === 1);
}

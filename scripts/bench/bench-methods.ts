/** `npm run bench:methods`: prunes by one recipe after the other and tells what each leaves of the model. */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { openMemoryMeter } from "../../kernel/runner/memory-meter.ts";
import { parseJsonObject } from "../../src/base/json.ts";
import { evaluate } from "../../src/evaluate/evaluate.ts";
import type { Evaluation } from "../../src/evaluate/evaluation.ts";
import { perplexity, wikitextPerplexity } from "../../src/evaluate/perplexity.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { compare, loadLanguageModel, openCheckpoint, type PruneOptions, prune } from "../../src/index.ts";
import { loadCalibration } from "../../src/prune/calibration.ts";
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

Each recipe is the options of prune, as JSON; {} is the dense model. Prints a row of a Markdown table as soon as it is known: accuracy in percent with its
95 % interval and the mid-p of McNemar's test against ${baseline} on the same documents. Finished prunings and answers are kept in the cache, so a stopped run
goes on where it was; pruning's time and peak memory are those of this run, which may have read them from there.`;

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
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help || positionals.length === 0) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const { onProgress, note, finish } = terminalProgress();
  const dense = await openCheckpoint(values.model, { onProgress, onNotice: note });
  const path = values["token-ids"];
  const tokenIds = path && (parseJsonObject(await readFile(path, "utf8"), path).windows as number[][]);
  const heldOut = values.choose ? await loadCalibration(dense, { windows: 16, seed: 1 }) : undefined;
  const tasks = values.choose ? [] : values.task;
  const columns = [heldOut ? "Dolly perplexity" : "WikiText-2 perplexity", ...tasks];
  console.log(`| recipe | pruning, s | peak, GB | ${columns.join(" | ")} |`);
  console.log(`|---|---:|---:|${"---:|".repeat(columns.length)}`);
  let reference: Evaluation | undefined;
  for (const recipe of new Set(heldOut ? positionals : [baseline, ...positionals])) {
    const options = parseJsonObject(recipe, "recipe");
    const meter = openMemoryMeter(process.pid);
    const started = performance.now();
    const calibration = { ...(options.calibration ?? {}), ...(tokenIds ? { tokenIds } : {}) };
    const asked = { ...options, calibration, onProgress, onNotice: note };
    // The library checks what the recipe says.
    const checkpoint = Object.keys(options).length === 0 ? dense : await prune(dense, asked as unknown as PruneOptions);
    const seconds = (performance.now() - started) / 1000;
    const gigabytes = (meter.peakBytes() ?? 0) / 1e9;
    meter.close();
    const model = await loadLanguageModel(checkpoint, { onProgress });
    const row: string[] = [];
    if (heldOut) {
      row.push((await perplexity(model, heldOut.windows, { onProgress })).toFixed(3));
    } else {
      const limit = parseWhole(values.windows, "--windows");
      row.push((await wikitextPerplexity(model, { limit, onProgress })).perplexity.toFixed(3));
      const evaluation = await evaluate(model, tasks, { limit: parseLimit(values.limit), onProgress });
      reference ??= evaluation;
      row.push(...tasks.map((task) => cell(task, evaluation, reference!)));
    }
    await model.release();
    finish();
    console.log(`| \`${recipe}\` | ${seconds.toFixed(1)} | ${gigabytes.toFixed(2)} | ${row.join(" | ")} |`);
  }
}

/** Accuracies in percent, the first with its interval and its test against the reference. */
function cell(task: string, evaluation: Evaluation, reference: Evaluation): string {
  const percent = (share: number) => (100 * share).toFixed(1);
  const row = compare(reference, evaluation).rows.find(({ name }) => name === task)!;
  const normalised = evaluation.tasks.find(({ task: { task: name } }) => name === task)?.metrics.acc_norm;
  const test = evaluation === reference ? "" : `, p ${row.p < 0.001 ? "< 0.001" : row.p.toFixed(3)}`;
  const second = normalised ? `; acc_norm ${percent(normalised.value)}` : "";
  return `${percent(row.b)} [${percent(row.bLow)}, ${percent(row.bHigh)}]${test}${second}`;
}

/** `npm run notebooks:scores`: writes the scores that the committed notebooks must show, measured by the library without a kernel. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../../src/base/atomic.ts";
import { readJsonObject } from "../../src/base/json.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { PrunelabError } from "../../src/errors.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import {
  evaluateCheckpoint,
  gemmaTables,
  openCheckpoint,
  planSweep,
  prune,
  runSweep,
  type ScoreRow,
  scorePublished,
  scoreRows,
  sweelolCard,
  unitName,
} from "../../src/index.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseWhole } from "../cli/options.ts";

const help = `usage: npm run notebooks:scores -- [options]

--notebook <name>          only the scores of this one, beside those that the file has of the others; may be given again
--limit <n>                documents of each task in evaluation.ipynb; default 200
--benchmarks-limit <n>     in gemma-benchmarks.ipynb; default 200
--sweep-limit <n>          in sparsity-sweep.ipynb; default 100
--windows <n>              of WikiText-2 in sparsity-sweep.ipynb; default 8
--calibration-windows <n>  of Wanda in sparsity-sweep.ipynb; default 8
--sparsities <list>        in sparsity-sweep.ipynb; default 0,0.25,0.5,0.6,0.7
--study <folder>           of sparsity-sweep.ipynb's units, e.g. of prunelab sweep run: results that lie there are not measured again
--output <file>            default data/expected/notebook-scores.json

Give the numbers that the notebooks were run with. Answers are taken from the cache, so it is quick after the notebooks, but for perplexities.
Only names, counts and scores are written.`;

explainErrors("notebooks:scores");
const { values } = parseArgs({
  options: {
    notebook: { type: "string", multiple: true },
    limit: { type: "string", default: "200" },
    "benchmarks-limit": { type: "string", default: "200" },
    "sweep-limit": { type: "string", default: "100" },
    windows: { type: "string", default: "8" },
    "calibration-windows": { type: "string", default: "8" },
    sparsities: { type: "string", default: "0,0.25,0.5,0.6,0.7" },
    study: { type: "string" },
    output: { type: "string", default: join(packageRoot(), "data", "expected", "notebook-scores.json") },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await score();

async function score(): Promise<void> {
  const [limit, benchmarksLimit, sweepLimit, windows, calibrationWindows] = (
    ["limit", "benchmarks-limit", "sweep-limit", "windows", "calibration-windows"] as const
  ).map((name) => parseWhole(values[name], `--${name}`)) as [number, number, number, number, number];
  const dense = await openCheckpoint(defaultModel);
  const checkpoints = new Map([[defaultModel, dense]]);
  const scoresOf: Readonly<Record<string, () => Promise<readonly ScoreRow[]>>> = {
    evaluation: async () => {
      const tasks = sweelolCard.map(({ task }) => task);
      const rows: ScoreRow[] = [];
      for (const checkpoint of [dense, await prune(dense, { method: "magnitude", sparsity: 0.5 })]) {
        rows.push(...scoreRows(await evaluateCheckpoint(checkpoint, tasks, { limit })));
      }
      return rows;
    },
    "gemma-benchmarks": () => {
      const published = gemmaTables.find(({ id }) => id === "270m-pt")!;
      return scorePublished(dense, published, { limit: benchmarksLimit });
    },
    "sparsity-sweep": async () => {
      const sparsities = values.sparsities.split(",").map(Number);
      const units = await planSweep(
        {
          ...{ model: defaultModel, methods: ["magnitude", "wanda"], sparsities },
          ...{ calibration: { windows: calibrationWindows }, tasks: ["hellaswag"], limit: sweepLimit, windows },
        },
        { checkpoints },
      );
      const output = values.study ?? (await mkdtemp(join(tmpdir(), "prunelab-scores-")));
      const { rows } = await runSweep(units, {
        ...{ output, checkpoints, onNotice: console.error },
        onUnit: (unit) => console.error(unitName(unit)),
      });
      if (values.study === undefined) await rm(output, { recursive: true });
      return rows;
    },
  };
  const names = values.notebook ?? Object.keys(scoresOf);
  const unknown = names.find((name) => !scoresOf[name]);
  if (unknown !== undefined) {
    throw new PrunelabError(`invalid --notebook; one of ${Object.keys(scoresOf).join(", ")}: ${unknown}`);
  }
  const scores = values.notebook ? await readJsonObject(values.output) : {};
  for (const name of names) scores[name] = await scoresOf[name]!();
  await writeFileAtomic(values.output, `${JSON.stringify(scores, null, 1)}\n`);
  console.log(values.output);
}

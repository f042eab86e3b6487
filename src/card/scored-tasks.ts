/** What results files say of a model and of its base, task by task: scores, intervals, and the change on the same documents. */
import { readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import type * as Zod from "zod";
import { readJson } from "../base/json.ts";
import { asReadError } from "../base/read-error.ts";
import { readJsonLines } from "../datasets/jsonl.ts";
import { PrunelabError } from "../errors.ts";
import { changeInterval, type Interval, shareInterval } from "../evaluate/statistics.ts";
import { allGroups, labelOf, memberNameOf, tasksOf } from "../tasks/find-tasks.ts";

const require = createRequire(import.meta.url);

// Only what a card needs, so that lm-eval's own files are read too. Loaded when results are read.
const schema = ({ z } = require("zod") as typeof Zod) =>
  z.object({
    results: z.record(z.string(), z.record(z.string(), z.unknown())),
    configs: z.record(
      z.string(),
      z.object({
        dataset_path: z.string().nullish(),
        dataset_name: z.string().nullish(),
        test_split: z.string().nullish(),
        validation_split: z.string().nullish(),
        metric_list: z.array(z.object({ metric: z.unknown() })).nullish(),
      }),
    ),
    "n-shot": z.record(z.string(), z.number()),
    "n-samples": z.record(z.string(), z.object({ original: z.number(), effective: z.number() })),
    date: z.number(),
    task_hashes: z.record(z.string(), z.string()).default({}),
    model_name: z.string(),
    prunelab: z
      .object({
        model_digest: z.string(),
        data_sources: z.record(z.string(), z.object({ kind: z.string() })).default({}),
      })
      .optional(),
  });

type Results = Zod.infer<ReturnType<typeof schema>> & { readonly path: string };

/** A score with its 95 % interval, where it has one; shares in [0, 1]. */
export interface Estimate extends Partial<Interval> {
  readonly value: number;
}

/** One line of a card's table. */
export interface CardScore {
  /** lm-eval's name. */
  readonly task: string;
  readonly label: string;
  /** The group whose average is in the table too; null for a task by itself and for an average. */
  readonly within: string | null;
  readonly metric: string;
  /** Whether the metric is a share of documents. */
  readonly isShare: boolean;
  readonly shots: number;
  /** Documents scored, of so many in the split. */
  readonly n: number;
  readonly originalCount: number;
  readonly model: Estimate;
  /** Null where the base was not asked the same documents. */
  readonly base: Estimate | null;
  /** The model's less the base's; its interval needs the samples files of both. */
  readonly change: Estimate | null;
  /** What guessing gets; null where it is not known. */
  readonly chance: number | null;
  /** Made-up documents: no benchmark. */
  readonly isDemo: boolean;
  /** Null for an average. */
  readonly dataset: { readonly path: string; readonly name: string | null; readonly split: string | null } | null;
  /** Every metric of the task, the one above first. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly date: Date;
}

/** Names and digests under which a model may have been scored. */
export interface ScoredAs {
  readonly names: readonly string[];
  readonly digests: readonly string[];
}

/**
 * The newest scores of each task, and beside them the base's on the same documents. Averages of groups (MMLU) come first, as the plain mean of
 * their tasks, then tasks by themselves, then the groups' tasks.
 *
 * @param paths Results files (`results_*.json`, lm-eval's too), or folders that hold some, at any depth.
 * @throws PrunelabError if a file is none of results, or there are none of this model.
 */
export async function scoredTasks(paths: readonly string[], model: ScoredAs, base: ScoredAs): Promise<CardScore[]> {
  const files = (await Promise.all(paths.map(resultsFiles))).flat();
  const all = (await Promise.all([...new Set(files)].map(readResults))).sort((a, b) => b.date - a.date);
  const own = all.filter((results) => isOf(results, model));
  if (own.length === 0) {
    const others = [...new Set(all.map(({ model_name }) => model_name))];
    throw new PrunelabError(
      `no results of ${model.names[0]} in ${paths.join(", ")}${others.length > 0 ? `, but of ${others.join(", ")}` : ""}; ` +
        "score it with prunelab evaluate --output, or name the folder where its results are",
    );
  }
  const bases = all.filter((results) => isOf(results, base));
  const rows: Pair[] = [];
  for (const results of own) {
    // lm-eval sorts `configs`; `results` are in the order of the run, groups last.
    for (const task of Object.keys(results.results)) {
      if (!(task in results.configs) || rows.some((row) => row.score.task === task)) continue;
      const hash = results.task_hashes[task];
      const other = bases.find(({ task_hashes }) => hash !== undefined && task_hashes[task] === hash);
      rows.push(await pairOf(task, results, other));
    }
  }
  return withAverages(rows);
}

function isOf({ model_name, prunelab }: Results, { names, digests }: ScoredAs): boolean {
  // A name may be that of other weights; a digest is not.
  return prunelab && digests.length > 0 ? digests.includes(prunelab.model_digest) : names.includes(model_name);
}

async function resultsFiles(path: string): Promise<string[]> {
  if (path.endsWith(".json")) return [path];
  const names = await readdir(path, { recursive: true }).catch((error: unknown) => {
    throw asReadError(error, path);
  });
  return names.filter((name) => /^results_.*\.json$/.test(basename(name))).map((name) => join(path, name));
}

async function readResults(path: string): Promise<Results> {
  const parsed = schema().safeParse(await readJson(path));
  if (parsed.success) return { ...parsed.data, path };
  const [issue] = parsed.error.issues;
  throw new PrunelabError(
    `not a results file: ${path}: ${issue?.path.join(".") || "the whole"}: ${issue?.message}; name results that prunelab evaluate or lm-eval wrote`,
  );
}

/** A row, and the documents behind it: each one's hash and score. */
interface Pair {
  readonly score: CardScore;
  readonly counts: { readonly lost: number; readonly won: number; readonly n: number } | null;
}

interface Sample {
  readonly hash: string;
  readonly value: number;
  readonly choices: number;
}

async function pairOf(task: string, results: Results, other: Results | undefined): Promise<Pair> {
  const config = results.configs[task]!;
  const metrics = metricsOf(results, task);
  const names = Object.keys(metrics);
  const wanted = config.metric_list?.map(({ metric }) => metric).find((name) => names.includes(String(name)));
  const metric = String(wanted ?? names[0] ?? "");
  const n = results["n-samples"][task]?.effective ?? 0;
  const [samples, before] = await Promise.all([results, other].map((file) => file && readSamples(file, task, metric)));
  const isShare = samples
    ? samples.every(({ value }) => value === 0 || value === 1)
    : /^(acc|acc_norm|exact_match|em)$/.test(metric);
  const estimate = (value: number): Estimate =>
    isShare && n > 0 ? { value, ...shareInterval(Math.round(value * n), n) } : { value };
  const base = other === undefined ? undefined : metricsOf(other, task)[metric];
  const counts = isShare && samples && before ? countPairs(samples, before) : null;
  const value = metrics[metric] ?? Number.NaN;
  const choices = samples?.map((sample) => sample.choices) ?? [];
  const score: CardScore = {
    task,
    label: labelOf(task),
    within: null,
    metric,
    isShare,
    shots: results["n-shot"][task] ?? 0,
    n,
    originalCount: results["n-samples"][task]?.original ?? n,
    model: estimate(value),
    base: base === undefined ? null : estimate(base),
    change: base === undefined ? null : { value: value - base, ...(counts && changeInterval(counts)) },
    chance:
      isShare && choices.length > 0 && choices.every((count) => count > 1) ? mean(choices.map((c) => 1 / c)) : null,
    isDemo: results.prunelab?.data_sources[task]?.kind === "demo",
    dataset: {
      path: config.dataset_path ?? task,
      name: config.dataset_name ?? null,
      split: config.test_split ?? config.validation_split ?? null,
    },
    metrics: { [metric]: value, ...metrics },
    date: new Date(1000 * results.date),
  };
  return { score, counts: counts && { ...counts, n } };
}

/** The numbers under keys such as `"acc,none"`, by the metric's name. */
function metricsOf({ results }: Results, task: string): Record<string, number> {
  return Object.fromEntries(
    Object.entries(results[task] ?? {}).flatMap(([key, value]) => {
      const [name, filter] = key.split(",");
      return filter === undefined || name!.endsWith("_stderr") || typeof value !== "number" ? [] : [[name!, value]];
    }),
  );
}

/** The samples file of the same run; undefined where it is not there any more. */
async function readSamples({ path }: Results, task: string, metric: string): Promise<Sample[] | undefined> {
  const file = basename(path).replace(/^results_(.*)\.json$/, (_, date: string) => `samples_${task}_${date}.jsonl`);
  const folder = dirname(path);
  if (!(await readdir(folder)).includes(file)) return undefined;
  const samples: Sample[] = [];
  for await (const { row } of readJsonLines(join(folder, file))) {
    const { doc_hash, prompt_hash, target_hash, arguments: asked } = row as Record<string, unknown>;
    const choices = typeof asked === "object" && asked !== null ? Object.keys(asked).length : 0;
    samples.push({ hash: [doc_hash, prompt_hash, target_hash].join(), value: Number(row[metric]), choices });
  }
  return samples;
}

/** Null where the two were not asked the same in the same order. */
function countPairs(samples: readonly Sample[], before: readonly Sample[]) {
  const isSame = samples.length === before.length && samples.every(({ hash }, index) => before[index]!.hash === hash);
  if (!isSame || samples.length === 0) return null;
  const count = (from: number, to: number) =>
    samples.filter(({ value }, index) => before[index]!.value === from && value === to).length;
  return { bothRight: count(1, 1), lost: count(1, 0), won: count(0, 1), bothWrong: count(0, 0) };
}

function withAverages(rows: readonly Pair[]): CardScore[] {
  const inner = new Set(allGroups.flatMap(({ members }) => members));
  const [averages, parts]: [CardScore[], CardScore[]] = [[], []];
  for (const group of allGroups.filter(({ group }) => !inner.has(group))) {
    const names = tasksOf(group).map(({ task }) => task);
    const members = rows.filter(({ score }) => names.includes(score.task) && score.metric === "acc");
    if (members.length < 2) continue;
    const label = `Average ${group.label ?? group.group} (${members.length} ${memberNameOf(group.group)})`;
    averages.push(average(group.group, label, members));
    parts.push(...members.map(({ score }) => ({ ...score, within: group.group })));
  }
  const alone = rows.flatMap(({ score }) => (parts.some(({ task }) => task === score.task) ? [] : [score]));
  return [...averages, ...alone, ...parts];
}

/** The plain mean of tasks, each weighing the same; its interval is normal, from the variances of the tasks' documents. */
function average(task: string, label: string, members: readonly Pair[]): CardScore {
  const scores = members.map(({ score }) => score);
  const first = scores[0]!;
  const spread = (value: number, variances: readonly number[], least: number): Estimate => {
    const half = (1.96 * Math.sqrt(variances.reduce((sum, variance) => sum + variance, 0))) / variances.length;
    return { value, low: Math.max(least, value - half), high: Math.min(1, value + half) };
  };
  const ofShares = (estimates: readonly Estimate[]) =>
    spread(
      mean(estimates.map(({ value }) => value)),
      estimates.map(({ value }, index) => (value * (1 - value)) / scores[index]!.n),
      0,
    );
  const bases = scores.map(({ base }) => base);
  const base = bases.every((estimate) => estimate !== null) ? ofShares(bases) : null;
  const model = ofShares(scores.map((score) => score.model));
  const counts = members.map((member) => member.counts);
  const change = base && model.value - base.value;
  const chances = scores.map(({ chance }) => chance);
  return {
    ...first,
    ...{ task, label, model, base, dataset: null, metrics: {} },
    n: scores.reduce((sum, { n }) => sum + n, 0),
    originalCount: scores.reduce((sum, { originalCount }) => sum + originalCount, 0),
    change:
      change === null
        ? null
        : counts.every((count) => count !== null)
          ? spread(
              change,
              counts.map(({ lost, won, n }) => ((lost + won) / n - ((won - lost) / n) ** 2) / n),
              -1,
            )
          : { value: change },
    chance: chances.every((chance) => chance !== null) ? mean(chances) : null,
    isDemo: scores.some(({ isDemo }) => isDemo),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

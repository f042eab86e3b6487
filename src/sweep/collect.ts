/** What a sweep gave: one row for each recipe, task and metric, with mean and spread over seeds, and lm-eval's files. */
import { copyFile, link } from "node:fs/promises";
import { join } from "node:path";
import { asWriteError, prepareFolder, writeFileAtomic } from "../base/atomic.ts";
import type { ScoreRow } from "../evaluate/score-rows.ts";
import type { LineFigureOptions, LineSeries } from "../plot/line-figure.ts";
import { csvText } from "../report/csv.ts";
import { markdown, type Table } from "../report/document.ts";
import type { Unit } from "./plan.ts";
import { type SweepStatus, sweepStatus, type UnitResult } from "./results.ts";

/** One score of one recipe, over its seeds. */
export interface SweepRow {
  readonly model: string;
  readonly method: string;
  /** Share of zeros asked for; null where the pattern is n:m. */
  readonly sparsity: number | null;
  readonly pattern: string | null;
  readonly task: string;
  readonly shots: number;
  readonly metric: string;
  /** Seeds measured. */
  readonly seeds: number;
  /** Documents of each. */
  readonly n: number;
  /** Mean over the seeds; a share in [0, 1] but for perplexities and bits. */
  readonly score: number;
  /** Standard deviation over the seeds (n − 1); null with one seed. */
  readonly spread: number | null;
  /** 95 % interval of the one seed's score; null with several. */
  readonly low: number | null;
  readonly high: number | null;
  readonly note: string;
}

export interface SweepCollection {
  readonly rows: readonly SweepRow[];
  readonly status: SweepStatus;
  /** Processors that units ran on: several are compared within float32's rounding, about 1e-4 of a log-likelihood. */
  readonly processors: readonly string[];
}

/**
 * Gathers what is done, few results in memory at a time. Seeds are joined; what is missing is in `status`.
 *
 * @param options.output The study's folder. Default `"study"`.
 * @param options.onResult Called with each result, e.g. to copy its files.
 */
export async function collectSweep(
  units: readonly Unit[],
  {
    output = "study",
    onResult,
  }: { readonly output?: string; readonly onResult?: (result: UnitResult) => Promise<void> } = {},
): Promise<SweepCollection> {
  const groups = new Map<string, { first: ScoreRow; unit: Unit; scores: number[] }>();
  const processors = new Set<string>();
  const status = await sweepStatus(units, output, async (unit, result) => {
    processors.add(result.host.processor);
    for (const row of result.rows) {
      const key = JSON.stringify([
        unit.weights,
        unit.method,
        unit.sparsity,
        unit.pattern,
        row.task,
        row.shots,
        row.metric,
      ]);
      const group = groups.get(key) ?? { first: row, unit, scores: [] };
      group.scores.push(row.score);
      groups.set(key, group);
    }
    await onResult?.(result);
  });
  const rows = [...groups.values()].map(({ first, unit, scores }): SweepRow => {
    const isAlone = scores.length === 1;
    return {
      ...{ model: unit.model, method: unit.method, sparsity: unit.sparsity, pattern: unit.pattern },
      ...{ task: first.task, shots: first.shots, metric: first.metric, seeds: scores.length, n: first.n },
      ...{ score: mean(scores), spread: isAlone ? null : deviation(scores) },
      ...{ low: isAlone ? first.low : null, high: isAlone ? first.high : null, note: first.note },
    };
  });
  return { rows, status, processors: [...processors] };
}

/**
 * Writes `table.csv` and `table.md`, and lm-eval's files as `lm-eval/<recipe>/results_<date>.json` and `samples_<task>_<date>.jsonl`.
 *
 * @throws PrunelabError if the folder cannot be written.
 */
export async function writeCollection(units: readonly Unit[], output: string): Promise<SweepCollection> {
  const collection = await collectSweep(units, { output, onResult: (result) => copyLmEvalFiles(output, result) });
  await writeFileAtomic(join(output, "table.csv"), csvOf(collection.rows));
  await writeFileAtomic(join(output, "table.md"), sweepTable(collection.rows));
  return collection;
}

async function copyLmEvalFiles(output: string, { unit, files, startedAt }: UnitResult): Promise<void> {
  if (!files) return;
  const date = startedAt.replace("Z", "000").replaceAll(":", "-");
  const folder = join(output, "lm-eval", folderName(unit));
  try {
    await prepareFolder(folder);
    const all = Object.entries(files.samples).map(([task, path]) => [path, `samples_${task}_${date}.jsonl`] as const);
    for (const [path, name] of [[files.results, `results_${date}.json`] as const, ...all]) {
      const [from, to] = [join(output, path), join(folder, name)];
      // Ten thousand units' samples take no second place on disk where the file system can link. Copying onto a link of the same file leaves it alone.
      await link(from, to).catch(() => copyFile(from, to));
    }
  } catch (error) {
    throw asWriteError(error, folder);
  }
}

function folderName({ model, method, sparsity, pattern, seed, id, recipe }: Unit): string {
  const name = recipe ? [model, method, sparsity ?? "", pattern ?? "", `seed-${seed}`] : [model, "dense"];
  const text = name.filter((part) => part !== "").join("__");
  // A recipe's JSON is not a folder's name, and neither is a colon on Windows.
  return /[^\w.@/:-]/.test(text)
    ? `${model.replaceAll("/", "__")}__${id}`
    : text.replaceAll("/", "__").replaceAll(":", "of");
}

/** The rows as a Markdown table: shares in percent, the spread over seeds behind ±, or the interval of a single seed in brackets. */
export function sweepTable(rows: readonly SweepRow[]): string {
  return `${markdown([{ table: tableOf(rows) }])}\n`;
}

/** The same for a document. */
export function tableOf(rows: readonly SweepRow[]): Table {
  const columns = ["model", "method", "sparsity", "pattern", "task", "metric", "score", "seeds", "n"];
  return {
    header: columns,
    textColumns: [0, 1, 3, 4, 5],
    rows: rows.map(({ model, method, sparsity, pattern, task, metric, score, spread, low, high, seeds, n }) => {
      const number = (value: number) => (isShare(metric) ? (100 * value).toFixed(2) : value.toFixed(3));
      const interval = low === null || high === null ? "" : ` [${number(low)}, ${number(high)}]`;
      const around = spread === null ? interval : ` ± ${number(spread)}`;
      const share = sparsity === null ? "" : `${Number((100 * sparsity).toFixed(2))} %`;
      const measure = metric + (isShare(metric) ? " (%)" : "");
      return [model, method, share, pattern ?? "", task, measure, number(score) + around, `${seeds}`, `${n}`];
    }),
  };
}

function csvOf(rows: readonly SweepRow[]): string {
  const columns = ["model", "method", "sparsity", "pattern", "task", "shots", "metric", "seeds", "n", "score"] as const;
  const all = [...columns, "spread", "low", "high", "note"] as const;
  return csvText(
    all,
    rows.map((row) => all.map((name) => row[name])),
  );
}

/**
 * The rows of one task and metric as lines for `sweepFigure`: one for each method, the dense model at 0 in each.
 * n:m patterns have no place on the axis and are left out.
 */
export function sweepSeries(
  rows: readonly SweepRow[],
  { task, metric }: { readonly task: string; readonly metric: string },
): LineSeries[] {
  const own = rows.filter((row) => row.task === task && row.metric === metric && row.sparsity !== null);
  const dense = own.filter(({ method }) => method === "dense");
  const models = new Set(own.map(({ model }) => model));
  const lines = new Map<string, SweepRow[]>();
  for (const row of own) {
    if (row.method === "dense") continue;
    const parts = [...(models.size > 1 ? [row.model] : []), row.method, ...(row.pattern ? [row.pattern] : [])];
    const name = parts.join(" ");
    lines.set(name, [...(lines.get(name) ?? dense.filter(({ model }) => model === row.model)), row]);
  }
  return [...lines].map(([name, points]) => ({
    name,
    points: points
      .map(({ sparsity, score, spread, low, high }) => ({
        x: sparsity!,
        value: score,
        low: spread === null ? low : score - spread,
        high: spread === null ? high : score + spread,
      }))
      .sort((a, b) => a.x - b.x),
  }));
}

/**
 * The same with what `sweepFigure` has to know beside: shares in percent, perplexities on a logarithmic axis, and in `notes` how many of what, and
 * what the whiskers are.
 */
export function sweepLines(
  rows: readonly SweepRow[],
  { task, metric }: { readonly task: string; readonly metric: string },
): Required<Pick<LineFigureOptions, "series" | "unit" | "isLogarithmic" | "notes">> {
  const own = rows.filter((row) => row.task === task && row.metric === metric);
  const scale = isShare(metric) ? 100 : 1;
  const scaled = (value: number | null | undefined) => (value === null || value === undefined ? null : scale * value);
  const series = sweepSeries(own, { task, metric }).map(({ name, points }) => ({
    name,
    points: points.map(({ x, value, low, high }) => ({
      x,
      value: scale * value,
      low: scaled(low),
      high: scaled(high),
    })),
  }));
  const [first] = own;
  const seeds = Math.max(0, ...own.map((row) => row.seeds));
  const isPerplexity = metric.endsWith("perplexity");
  const counted = task === "wikitext2" ? "windows of 2,048 tokens" : `documents, ${first?.shots ?? 0} shots`;
  const whiskers =
    seeds > 1 ? `standard deviation over ${seeds} seeds (of a single one, 95 % interval)` : "95 % interval";
  return {
    series,
    unit: isShare(metric) ? `${metric} (% of the documents)` : isPerplexity ? `${metric} (log scale)` : metric,
    isLogarithmic: isPerplexity,
    notes: `n = ${first?.n ?? 0} ${counted}; whiskers: ${whiskers}`,
  };
}

function isShare(metric: string): boolean {
  return metric.startsWith("acc") || metric === "exact_match";
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

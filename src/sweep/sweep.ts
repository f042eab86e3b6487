/** One model pruned again and again: what a measure becomes as sparsity grows, under several methods. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { type EvaluateOptions, evaluate } from "../evaluate/evaluate.ts";
import { wikitextPerplexity } from "../evaluate/perplexity.ts";
import { type ScoreRow, scoreRows } from "../evaluate/score-rows.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { loadLanguageModel } from "../model/load.ts";
import type { PruneOptions } from "../prune/options.ts";
import { prune } from "../prune/prune.ts";

export interface SweepOptions {
  /** Options of `prune` but for the sparsity, one for each line, e.g. `[{ method: "magnitude" }, { method: "wanda" }]`. */
  readonly methods: readonly Omit<PruneOptions, "sparsity" | "onProgress">[];
  /** Shares in [0, 1); 0 is the dense model, measured once for all methods. */
  readonly sparsities: readonly number[];
  /** Told before each model is measured. */
  readonly onModel?: (name: string) => void;
}

/** A score of one model. */
export interface SweepRow extends ScoreRow {
  readonly method: string;
  readonly sparsity: number;
}

/** Scores every model on tasks: a row for each model, task and metric. Answers of earlier runs are taken from the cache. */
export function sweepTasks(
  dense: Checkpoint,
  tasks: readonly string[],
  { evaluation = {}, ...options }: SweepOptions & { readonly evaluation?: EvaluateOptions },
): Promise<SweepRow[]> {
  return sweep(dense, options, async (model) => scoreRows(await evaluate(model, tasks, evaluation)));
}

/** WikiText-2's perplexity by token of every model; `windows` of 2,048 tokens, 12 unless given. */
export function sweepPerplexity(
  dense: Checkpoint,
  { windows = 12, folder, ...options }: SweepOptions & { readonly windows?: number; readonly folder?: string },
): Promise<SweepRow[]> {
  return sweep(dense, options, async (model) => {
    const measured = await wikitextPerplexity(model, { limit: windows, ...(folder && { folder }) });
    const { perplexity: score, low, high, windows: n } = measured;
    return [{ model: model.name, task: "wikitext2", shots: 0, metric: "perplexity", n, score, low, high, note: "" }];
  });
}

async function sweep(
  dense: Checkpoint,
  { methods, sparsities, onModel }: SweepOptions,
  measure: (model: LanguageModel) => Promise<ScoreRow[]>,
): Promise<SweepRow[]> {
  const measureCheckpoint = async (checkpoint: Checkpoint) => {
    onModel?.(checkpoint.name);
    const model = await loadLanguageModel(checkpoint);
    try {
      return await measure(model);
    } finally {
      await model.release();
    }
  };
  const rows: SweepRow[] = [];
  const ofDense = sparsities.includes(0) ? await measureCheckpoint(dense) : [];
  for (const options of methods) {
    for (const sparsity of sparsities) {
      const scores = sparsity === 0 ? ofDense : await measureCheckpoint(await prune(dense, { ...options, sparsity }));
      rows.push(...scores.map((score) => ({ method: options.method, sparsity, ...score })));
    }
  }
  return rows;
}

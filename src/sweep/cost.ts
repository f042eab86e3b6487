/** About how long a plan takes: from its finished units, else from what was measured once. */
import { mean } from "./collect.ts";
import type { Unit } from "./plan.ts";
import { sweepStatus } from "./results.ts";

/**
 * Gemma 3 270M on 2 cores (notebooks/LOG.md): seconds of pruning on 64 × 512 tokens, of loading a model to score, of a document of four choices and
 * of a window of 2,048 tokens.
 */
const measured = {
  prune: { magnitude: 3, random: 3, wanda: 85, ria: 90, sparsegpt: 208, admm: 350 } as Readonly<Record<string, number>>,
  load: 12,
  document: 0.19,
  window: 3,
};

/**
 * Minutes of the units that are not done, one after another on a machine like the one that did the others.
 *
 * @returns `minutes` undefined where nothing is known: all documents of a task, and no unit is finished yet.
 */
export async function estimateMinutes(
  units: readonly Unit[],
  folder: string,
): Promise<{ readonly minutes: number | undefined; readonly basis: string }> {
  const seconds = new Map<string, number[]>();
  const { done } = await sweepStatus(units, folder, ({ method }, result) => {
    const known = seconds.get(method) ?? [];
    known.push(result.seconds.total);
    seconds.set(method, known);
  });
  const all = [...seconds.values()].flat();
  const finished = new Set(done.map(({ id }) => id));
  const open = units.filter(({ id }) => !finished.has(id));
  if (all.length > 0) {
    const total = open.reduce((sum, { method }) => sum + mean(seconds.get(method) ?? all), 0);
    return { minutes: total / 60, basis: `as the ${all.length} finished units took` };
  }
  if (open.some(({ limit, tasks }) => tasks.length > 0 && (limit === null || limit < 1))) {
    return { minutes: undefined, basis: "how long is known when the first is done" };
  }
  const total = open.reduce((sum, { recipe, tasks, limit, windows, recover }) => {
    const minutes = typeof recover?.minutes === "number" ? recover.minutes : 0;
    const scoring = tasks.length * (limit ?? 0) * measured.document + (windows ?? 0) * measured.window;
    return sum + (recipe ? (measured.prune[recipe.method] ?? 0) : 0) + 60 * minutes + measured.load + scoring;
  }, 0);
  return { minutes: total / 60, basis: "as measured on Gemma 3 270M and 2 cores" };
}

/** Does a plan's units one after another on this machine. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { openCheckpoint } from "../hub/open-checkpoint.ts";
import { collectSweep, type SweepCollection } from "./collect.ts";
import { type Unit, unitName } from "./plan.ts";
import { checkWritable, type RunUnitOptions, runUnit } from "./unit.ts";

export interface RunSweepOptions extends Omit<RunUnitOptions, "open"> {
  /** The study's folder; results lie in its `results/`. Default `"study"`. */
  readonly output?: string;
  /** Called before each unit, with how many come before it. */
  readonly onUnit?: (unit: Unit, before: number) => void;
  /** Models that the caller has opened, by the name in the plan. */
  readonly checkpoints?: ReadonlyMap<string, Checkpoint>;
}

/**
 * Does the units whose results are not there yet. A unit that fails does not stop the others; a stopped run goes on at the unit where it was.
 *
 * @param units What `planSweep` gave.
 * @returns All scores, seeds joined, and in `status` what failed and why.
 * @throws PrunelabError if the folder cannot be written; the signal's reason when it was stopped.
 */
export async function runSweep(
  units: readonly Unit[],
  { output = "study", onUnit, checkpoints, ...options }: RunSweepOptions = {},
): Promise<SweepCollection> {
  await checkWritable(output);
  const opened = new Map<string, Promise<Checkpoint>>();
  const { onNotice, signal } = options;
  const open = async (model: string) => {
    const known = checkpoints?.get(model);
    if (known) return known;
    if (!opened.has(model)) opened.set(model, openCheckpoint(model, { ...(onNotice && { onNotice }) }));
    return await opened.get(model)!;
  };
  for (const [index, unit] of units.entries()) {
    signal?.throwIfAborted();
    onUnit?.(unit, index);
    try {
      await runUnit(unit, output, { ...options, open });
    } catch (error) {
      if (signal?.aborted || !(error instanceof PrunelabError)) throw error;
      onNotice?.(`failed: ${unitName(unit)}: ${error.message}`);
    }
  }
  return await collectSweep(units, { output });
}

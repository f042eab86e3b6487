/** A study laid out as units: one model × recipe × seed each, with an id that says what decides its result. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { asReadError } from "../base/read-error.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { findForm } from "../export/forms.ts";
import { openCheckpoint } from "../hub/open-checkpoint.ts";
import type { OnProgress } from "../progress.ts";
import { type PruneOptions, planPruning } from "../prune/options.ts";
import { findTasks } from "../tasks/find-tasks.ts";
import { type CheckedStudy, checkStudy, type Study } from "./study.ts";

/** Of plan lines and result files. A new one refuses what an older Prunelab wrote. */
export const sweepSchema = 1;

/** What `prune` is asked for; serialisable. */
export type Recipe = Pick<PruneOptions, "method"> & Partial<Omit<PruneOptions, "onProgress" | "onNotice" | "scope">>;

/** One measurement: minutes of work that any machine can do, and do again without harm. A line of the plan file. */
export interface Unit {
  readonly schema: number;
  /** Its place in the plan, from 0: what an array job counts by. */
  readonly index: number;
  /** `u` and 24 hex digits of a SHA-256 over what decides the result; not paths, device or host. */
  readonly id: string;
  readonly model: string;
  /** Digest of the dense model's weights. */
  readonly weights: string;
  /** null is the dense model. */
  readonly recipe: Recipe | null;
  /** How tables call the recipe, without its sparsity and pattern. */
  readonly method: string;
  /** null where the pattern is n:m. */
  readonly sparsity: number | null;
  readonly pattern: string | null;
  readonly seed: number;
  readonly tasks: readonly string[];
  readonly limit: number | null;
  readonly numFewshot: number | null;
  /** Of WikiText-2, for the perplexity; null measures none. */
  readonly windows: number | null;
  readonly recover: Readonly<Record<string, unknown>> | null;
  readonly export: readonly string[];
  /** SHA-256 of the calibration's text files by path. */
  readonly files: Readonly<Record<string, string>>;
}

export interface PlanOptions {
  /** How errors call the study. */
  readonly source?: string;
  readonly onProgress?: OnProgress;
  readonly onNotice?: (line: string) => void;
  /** The models opened, by name, where the caller has them. */
  readonly checkpoints?: ReadonlyMap<string, Checkpoint>;
}

/**
 * The units of a study, in its own order: models, then methods, then points, then seeds.
 *
 * @throws PrunelabError if the study has a mistake, two units are alike, or a model cannot be opened.
 */
export async function planSweep(study: Study | CheckedStudy, options: PlanOptions = {}): Promise<Unit[]> {
  const { source = "study", checkpoints, ...opening } = options;
  const { models, ...checked } = checkStudy(study, source);
  if (checked.tasks.length > 0) findTasks(checked.tasks);
  for (const form of checked.export ?? []) findForm(form);
  const recipes = recipesOf(checked, source);
  for (const { recipe } of recipes) if (recipe) planPruning(recipe as PruneOptions);
  const files = await digestFiles([...recipes.flatMap(({ recipe }) => sourcesOf(recipe)), ...dataOf(checked.recover)]);
  const units: Unit[] = [];
  for (const model of models) {
    const checkpoint = checkpoints?.get(model) ?? (await openCheckpoint(model, opening));
    const weights = await checkpoint.digest();
    for (const { recipe, ...point } of recipes) {
      const unit = {
        ...{ schema: sweepSchema, index: units.length, id: "", model, weights, recipe, ...point },
        ...{ tasks: checked.tasks, limit: checked.limit, numFewshot: checked.numFewshot ?? null },
        windows: checked.windows ?? null,
        recover: recipe && checked.recover ? { ...checked.recover, seed: checked.recover.seed ?? point.seed } : null,
        export: checked.export ?? [],
        files: Object.fromEntries(
          [...sourcesOf(recipe), ...(recipe ? dataOf(checked.recover) : [])].flatMap((path) =>
            files.has(path) ? [[path, files.get(path)!]] : [],
          ),
        ),
      };
      units.push({ ...unit, id: unitId(unit) });
    }
  }
  checkDistinct(units, source);
  return units;
}

type Point = Pick<Unit, "sparsity" | "pattern">;
type Part = Pick<Unit, "recipe" | "method" | "sparsity" | "pattern" | "seed">;

/** Every point of the study with its recipe; the dense model once. */
function recipesOf(study: Omit<CheckedStudy, "models">, source: string): Part[] {
  const { methods, sparsities = [], patterns, seeds, calibration } = study;
  const dense = { recipe: null, method: "dense", sparsity: 0, pattern: null, seed: 0 };
  const points = (patterns ?? [null]).flatMap((pattern): Point[] =>
    pattern?.includes(":") ? [{ sparsity: null, pattern }] : sparsities.map((sparsity) => ({ sparsity, pattern })),
  );
  const found: Part[] = points.some(({ sparsity }) => sparsity === 0) ? [dense] : [];
  for (const entry of methods) {
    const {
      sparsity: own,
      pattern: ownPattern,
      seed: ownSeed,
      ...recipe
    } = typeof entry === "string" ? { method: entry, seed: undefined } : entry;
    const isFixed = own !== undefined || ownPattern?.includes(":");
    const ownPoints: Point[] = isFixed ? [{ sparsity: own ?? null, pattern: ownPattern ?? null }] : points;
    const { method: name, ...others } = recipe;
    const method = Object.keys(others).length === 0 ? name : `${name} ${JSON.stringify(others)}`;
    for (const { sparsity, pattern = null } of ownPoints) {
      if (sparsity === 0) continue;
      for (const seed of ownSeed === undefined ? seeds : [ownSeed as number]) {
        const point = { sparsity, pattern: pattern ?? ownPattern ?? null };
        const full = {
          ...recipe,
          ...(point.sparsity === null ? {} : { sparsity: point.sparsity }),
          ...(point.pattern === null ? {} : { pattern: point.pattern }),
          seed,
          calibration: { ...calibration, seed, ...(recipe.calibration as object | undefined) },
        };
        found.push({ recipe: full as unknown as Recipe, method, ...point, seed });
      }
    }
  }
  if (found.length === 0) throw new PrunelabError(`the study has no unit: ${source}; give methods and sparsities`);
  return found;
}

/** The digest behind a unit's name. */
function unitId(unit: Omit<Unit, "id" | "index">): string {
  const { model: _, files, recipe, recover, ...rest } = unit as Unit;
  const content = recipe && {
    ...recipe,
    calibration: { ...recipe.calibration, source: sourcesOf(recipe).map((path) => files[path] ?? path) },
  };
  const { id: __, index: ___, method: ____, ...decides } = rest;
  const trained = recover && { ...recover, data: dataOf(recover).map((path) => files[path] ?? path) };
  return `u${sha256(canonicalJson({ ...decides, recipe: content, recover: trained })).slice(0, 24)}`;
}

function checkDistinct(units: readonly Unit[], source: string): void {
  const byId = new Map<string, Unit>();
  for (const unit of units) {
    const twin = byId.get(unit.id);
    if (twin)
      throw new PrunelabError(`two units alike: ${source}: ${unitName(twin)} and ${unitName(unit)}; leave one out`);
    byId.set(unit.id, unit);
  }
}

/** How a unit is called in lists, e.g. `google/gemma-3-270m wanda 50 % seed 1`. */
export function unitName({ model, method, sparsity, pattern, seed, recipe }: Unit): string {
  if (!recipe) return `${model} dense`;
  const share = sparsity === null ? [] : [`${Number((100 * sparsity).toFixed(4))} %`];
  return [model, method, ...share, ...(pattern ? [pattern] : []), `seed ${seed}`].join(" ");
}

/** The calibration's sources, which may be files. */
function sourcesOf(recipe: Recipe | null): string[] {
  return [recipe?.calibration?.source ?? []].flat();
}

/** The data of recovery, which may be a file. */
function dataOf(recover: Readonly<Record<string, unknown>> | null | undefined): string[] {
  return typeof recover?.data === "string" ? [recover.data] : [];
}

async function digestFiles(sources: readonly string[]): Promise<Map<string, string>> {
  const paths = new Set(sources.filter((source) => source !== "dolly"));
  return new Map(await Promise.all([...paths].map(async (path) => [path, await fileDigest(path)] as const)));
}

/** @throws PrunelabError if the file cannot be read. */
export async function fileDigest(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw asReadError(error, path);
  });
  return createHash("sha256").update(bytes).digest("hex");
}

/** The plan as a file: a JSON object a line. */
export function planText(units: readonly Unit[]): string {
  return units.map((unit) => `${JSON.stringify(unit)}\n`).join("");
}

/**
 * Reads a plan file.
 *
 * @throws PrunelabError if it cannot be read, a line is not a unit, or another version of Prunelab wrote it.
 */
export async function readPlan(path: string): Promise<Unit[]> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw asReadError(error, path);
  });
  const units: Unit[] = [];
  for (const [number, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const where = `${path}, line ${number + 1}`;
    let unit: Unit;
    try {
      unit = JSON.parse(line) as Unit;
    } catch (error) {
      throw new PrunelabError(`not a plan: ${where}: ${messageOf(error)}; make it by prunelab sweep plan`);
    }
    if (unit?.schema !== sweepSchema) {
      throw new PrunelabError(
        `a plan of another version: ${where}: schema ${unit?.schema}, this Prunelab reads ${sweepSchema}; plan the study again`,
      );
    }
    if (typeof unit.id !== "string" || !Array.isArray(unit.tasks) || unitId(unit) !== unit.id) {
      throw new PrunelabError(`a plan that was changed: ${where}: ${unit.id}; change the study and plan it again`);
    }
    units.push(unit);
  }
  if (units.length === 0) throw new PrunelabError(`an empty plan: ${path}; make it by prunelab sweep plan`);
  return units;
}

/** JSON with sorted keys and without what is undefined, so that equal values are equal texts. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

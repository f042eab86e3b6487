/** `prunelab.json` beside a model: what it was made from and how, as its card says it. */
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type * as Zod from "zod";
import { writeFileAtomic } from "../base/atomic.ts";
import { readJsonObject } from "../base/json.ts";
import { packageVersion } from "../base/package-root.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import type { CalibratedPlan, PruningPlan } from "../prune/options.ts";

const require = createRequire(import.meta.url);
const fileName = "prunelab.json";

/** How a model was made. */
export interface Recipe {
  /** The dense model. */
  readonly base: Named;
  /** The model before it was written: results of scoring it carry these. */
  readonly model: Named;
  readonly prune?: PruneFacts | undefined;
  /** What was trained after that, in words. */
  readonly training?: readonly string[] | undefined;
  /** What was typed, in order. */
  readonly commands: readonly string[];
  /** Prunelab's version. */
  readonly version: string;
}

interface Named {
  readonly name: string;
  readonly digest: string;
}

interface PruneFacts {
  readonly method: string;
  /** Share of the scope, in [0, 1). */
  readonly sparsity: number;
  /** `"tensor"`, `"row"`, `"global"` or `"2:4"`. */
  readonly pattern: string;
  /** A regular expression on tensor names. */
  readonly scope: string;
  /** Refinements, in words. */
  readonly more: readonly string[];
  /** What the inputs were measured on; absent where the weights alone were looked at. */
  readonly calibration?:
    | { readonly sources: readonly string[]; readonly windows: number; readonly tokens: number }
    | undefined;
}

// Loaded when a recipe is read.
function schema(): Zod.ZodType<Recipe> {
  const { z } = require("zod") as typeof Zod;
  const named = z.object({ name: z.string(), digest: z.string() });
  const texts = z.array(z.string());
  const calibration = z.object({ sources: texts, windows: z.number(), tokens: z.number() });
  const prune = z.object({
    ...{ method: z.string(), sparsity: z.number(), pattern: z.string(), scope: z.string() },
    ...{ more: texts, calibration: calibration.optional() },
  });
  return z.object({
    ...{ base: named, model: named, prune: prune.optional(), training: texts.optional() },
    ...{ commands: texts, version: z.string() },
  });
}

/** The recipe of a pruning, of the effective settings. `command` is what was typed. */
export async function recipeOf(
  dense: Checkpoint,
  pruned: Checkpoint,
  plan: PruningPlan | CalibratedPlan,
  command: string,
): Promise<Recipe> {
  const { method, sparsity, pattern, scope } = plan;
  return {
    base: { name: dense.name, digest: await dense.digest() },
    model: { name: pruned.name, digest: await pruned.digest() },
    prune: {
      method: method.name,
      sparsity,
      pattern: typeof pattern === "object" ? `${pattern.zeros}:${pattern.of}` : pattern,
      scope: scope.source,
      more: "calibration" in plan ? refinements(plan) : [],
      ...("calibration" in plan && { calibration: calibrationFacts(plan, dense) }),
    },
    commands: [command],
    version: packageVersion(),
  };
}

function refinements({ budgets, refine, reconstruct, quantize }: CalibratedPlan): string[] {
  return [
    ...(budgets === "uniform" ? [] : [`budgets by layer: ${JSON.stringify(budgets)}`]),
    ...(refine ? [`mask refined by ${refine.name}`] : []),
    ...(reconstruct ? ["kept weights fitted to the dense layers' outputs"] : []),
    ...(quantize ? [`kept weights rounded to ${quantize.bits} bits in blocks of ${quantize.blockSize}`] : []),
  ];
}

function calibrationFacts({ calibration }: CalibratedPlan, { config }: Checkpoint) {
  const {
    source = "dolly",
    windows = 64,
    tokens = Math.min(512, config.max_position_embeddings),
    tokenIds,
  } = calibration;
  if (tokenIds) return { sources: ["token ids"], windows: tokenIds.length, tokens: tokenIds[0]?.length ?? 0 };
  return { sources: [source].flat(), windows, tokens };
}

/** Writes `prunelab.json` into a model's folder. */
export async function writeRecipe(folder: string, recipe: Recipe): Promise<void> {
  await writeFileAtomic(join(folder, fileName), `${JSON.stringify(recipe, null, 2)}\n`);
}

/**
 * The recipe in a model's folder; undefined where there is none.
 *
 * @throws PrunelabError if it is there and is none.
 */
export async function readRecipe(folder: string): Promise<Recipe | undefined> {
  const path = join(folder, fileName);
  const content = await readJsonObject(path).catch((error: unknown) => {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
    // The "folder" may be a .gguf file, or an id of the Hub.
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  });
  if (content === undefined) return undefined;
  const parsed = schema().safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PrunelabError(
    `not a recipe of Prunelab: ${path}: ${issue?.path.join(".") || "the whole"}: ${issue?.message}; remove it or prune again`,
  );
}

/**
 * Carries the recipe of a model that was trained over to what came of it. Without one there, what `folder` has of an earlier model is removed.
 *
 * @param training What was done, such as `"recovered with its dense model as the teacher"`.
 */
export async function carryRecipe(
  from: string,
  folder: string,
  trained: Checkpoint,
  { training, command }: { readonly training: string; readonly command: string },
): Promise<void> {
  const recipe = await readRecipe(from);
  if (!recipe) return await rm(join(folder, fileName), { force: true });
  await writeRecipe(folder, {
    ...recipe,
    model: { name: trained.name, digest: await trained.digest() },
    training: [...(recipe.training ?? []), training],
    commands: [...recipe.commands, command],
  });
}

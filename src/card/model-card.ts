/** A pruned model's card for the Hub, made from its weights, its recipe and its results files. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { prepareFolder, writeFileAtomic } from "../base/atomic.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { barFigure } from "../plot/bar-figure.ts";
import type { Figure } from "../plot/figure.ts";
import { sparsityFigure } from "../plot/sparsity-figure.ts";
import type { PrunedCheckpoint } from "../prune/prune.ts";
import { type SparsityReport, sparsityReport } from "../prune/sparsity.ts";
import { shortName } from "../report/document.ts";
import { evalResults } from "./card-metadata.ts";
import { type CardFacts, cardText, generatedMark } from "./card-text.ts";
import { licenceOf } from "./licence.ts";
import type { Recipe } from "./recipe.ts";
import { type CardScore, scoredTasks } from "./scored-tasks.ts";

export interface ModelCardOptions {
  /** How the model was made, as `prunelab prune` leaves it beside the model. Without it the card says what the weights show. */
  readonly recipe?: Recipe;
  /** The base's id on the Hub, such as `"google/gemma-3-270m"`; default the recipe's. */
  readonly base?: string;
  /** Results files, or folders that hold some, of the model and of its base. Without them the card has no table. */
  readonly results?: string | readonly string[];
  /** The id under which the model will be on the Hub, for the snippets; default its name. */
  readonly id?: string;
  /** The Hub's identifier of the licence; default that of the base, where it is known. */
  readonly licence?: string;
  /** Where the answers themselves are: a page that `.eval_results` names as its source. */
  readonly source?: string;
  /** The files beside the card, which the snippets are for; default `["model.safetensors"]`. */
  readonly files?: readonly string[];
}

export interface ModelCard {
  /** `README.md`. */
  readonly markdown: string;
  /** Text files by their path in the repository: the card, `.eval_results/*.yaml`, and the `NOTICE` that some licences ask for. */
  readonly files: ReadonlyMap<string, string>;
  /** The card's pictures, by the path under which it shows them. */
  readonly plots: ReadonlyMap<string, Figure>;
  /** The lines of the table. */
  readonly scores: readonly CardScore[];
}

/**
 * The card of a model.
 *
 * @throws PrunelabError if results cannot be read or none is of this model.
 */
export async function modelCard(checkpoint: Checkpoint, options: ModelCardOptions = {}): Promise<ModelCard> {
  const { recipe, results = [], files = ["model.safetensors"] } = options;
  const base = options.base ?? recipe?.base.name;
  const paths = [results].flat();
  const scores = paths.length === 0 ? [] : await scoresOf(checkpoint, paths, options);
  const zeros = (checkpoint as Partial<PrunedCheckpoint>).report ?? (await zerosOf(checkpoint, recipe));
  const name = options.id ?? checkpoint.name;
  const plots = new Map<string, Figure>([
    ...(scores.length > 0 ? [["plots/scores.svg", scoresFigure(scores, name, base)] as const] : []),
    ["plots/sparsity.svg", sparsityFigure(zeros, { title: `Zeros by layer: ${shortName(name)}` })],
  ]);
  const licence = licenceOf(base ?? "", checkpoint.config.model_type);
  const facts: CardFacts = {
    ...{ name, base, recipe, scores, zeros, licence, files },
    licenceId: options.licence ?? licence?.id,
    modelType: checkpoint.config.model_type,
    plots: new Map([...plots].map(([path, { caption }]) => [path, caption])),
  };
  const markdown = cardText(facts);
  return {
    markdown,
    scores,
    plots,
    files: new Map([
      ["README.md", markdown],
      ...evalResults(scores, options.source),
      ...(licence?.notice ? [["NOTICE", `${licence.notice}\n`] as const] : []),
    ]),
  };
}

async function scoresOf(checkpoint: Checkpoint, paths: readonly string[], { recipe, base }: ModelCardOptions) {
  const own = {
    names: [checkpoint.name, ...(recipe ? [recipe.model.name] : [])],
    digests: [await checkpoint.digest(), ...(recipe ? [recipe.model.digest] : [])],
  };
  const dense = {
    names: [base, recipe?.base.name].filter((name) => name !== undefined),
    digests: recipe ? [recipe.base.digest] : [],
  };
  return await scoredTasks(paths, own, dense);
}

async function zerosOf(checkpoint: Checkpoint, recipe: Recipe | undefined): Promise<SparsityReport> {
  return await sparsityReport(checkpoint, recipe?.prune ? { scope: recipe.prune.scope } : {});
}

/** Two bars for each line of the table whose metric is a share, with their intervals. */
function scoresFigure(scores: readonly CardScore[], name: string, base: string | undefined): Figure {
  const shares = scores.filter(({ isShare }) => isShare);
  const bars = (of: "model" | "base") =>
    shares.flatMap((row) => {
      const estimate = row[of];
      if (estimate === null) return [];
      const [low, high] = [estimate.low, estimate.high].map((end) => (end === undefined ? null : 100 * end));
      return [{ label: row.label, value: 100 * estimate.value, low: low!, high: high!, n: row.n }];
    });
  const dense = bars("base");
  const chance = shares.flatMap(({ label, chance }) => (chance === null ? [] : [{ label, value: 100 * chance }]));
  return barFigure({
    title: base === undefined ? shortName(name) : `${shortName(base)} and ${shortName(name)}`,
    series: [
      ...(dense.length > 0 ? [{ name: shortName(base ?? "the base"), bars: dense }] : []),
      { name: shortName(name), bars: bars("model") },
    ],
    marks: chance.length > 0 ? [{ name: "guessing", bars: chance }] : [],
    unit: "right answers (% of the documents)",
    notes: `${shares.some(({ isDemo }) => isDemo) ? "Made-up demo documents, not the benchmark. " : ""}Whiskers: 95 % intervals`,
    source: "lm-evaluation-harness's rules, scored by Prunelab",
  });
}

/**
 * Writes a card and what belongs to it into the model's folder.
 *
 * @param options.force Writes over a README.md that Prunelab has not made.
 * @throws PrunelabError if there is such a one and `force` is not set, a file cannot be written, or as {@link modelCard} does.
 */
export async function writeModelCard(
  checkpoint: Checkpoint,
  folder: string,
  { force = false, ...options }: ModelCardOptions & { readonly force?: boolean } = {},
): Promise<ModelCard> {
  await prepareFolder(folder);
  const path = join(folder, "README.md");
  const present = await readFile(path, "utf8").catch(() => generatedMark);
  if (!force && !present.includes(generatedMark))
    throw new PrunelabError(
      `there already, and not made by Prunelab: ${path}; move it away, or replace it with force: true (--force)`,
    );
  const files = options.files ?? (await readdir(folder, { recursive: true }));
  const card = await modelCard(checkpoint, { ...options, files });
  for (const [name, figure] of card.plots) await writeFileAtomic(join(folder, name), await figure.svg());
  // The card last: where it is, what it shows is there.
  for (const [name, content] of [...card.files].reverse()) await writeFileAtomic(join(folder, name), content);
  return card;
}

/** The options of `prunelab export` that make a model card and push to the Hub, and what they do. */
import { join } from "node:path";
import { type Checkpoint, readRecipe, writeModelCard, writeRecipe } from "../../src/index.ts";
import { flag, type OptionOf, UsageError, value, values } from "./command.ts";

const group = "model card";

export const publishOptions: { readonly [K in keyof PublishValues]: OptionOf<PublishValues[K]> } = {
  card: flag("--card", "write README.md with model-index, plots and .eval_results", { group }),
  results: values("--results <path>", "results files or folders, of the model and of its base; repeatable", { group }),
  cardBase: value("--card-base <id>", "the base's id on the Hub (default: as the recipe says)", { group }),
  license: value("--license <id>", "the Hub's identifier of the licence (default: the base's)", { group }),
};

export interface PublishValues {
  readonly card: boolean;
  readonly results: string[];
  readonly cardBase: string | undefined;
  readonly license: string | undefined;
}

/** Whether there is something to do for a folder as it is. Mistakes in the words are told before work. */
export function wantsPublishing({ card, results, cardBase, license }: PublishValues): boolean {
  const idle = card
    ? undefined
    : [results.length > 0 && "--results", cardBase && "--card-base", license && "--license"].find((name) => name);
  if (idle) throw new UsageError(`${idle} is for the model card; give --card too, or leave it out`);
  return card;
}

/** What is to be published. */
export interface Published {
  readonly checkpoint: Checkpoint;
  /** Where the model was opened, with its recipe. */
  readonly model: string;
  /** Where it was written. */
  readonly folder: string;
  readonly force: boolean;
}

/** Carries the recipe over, writes the card, and says in a line each what was done. */
export async function publish({ card, results, ...given }: PublishValues, what: Published): Promise<string[]> {
  const { checkpoint, model, folder, force } = what;
  const recipe = await readRecipe(model);
  if (recipe && model !== folder) await writeRecipe(folder, recipe);
  if (!card) return [];
  const { scores } = await writeModelCard(checkpoint, folder, {
    ...{ results, force },
    ...(recipe && { recipe }),
    ...(given.cardBase && { base: given.cardBase }),
    ...(given.license && { licence: given.license }),
  });
  const lines = scores.length === 0 ? "no scores" : `${scores.length} lines of scores`;
  return [`card with ${lines}: ${join(folder, "README.md")}`];
}

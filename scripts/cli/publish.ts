/** The options of `prunelab export` that make a model card and push to the Hub, and what they do. */
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { PrunelabError } from "../../src/errors.ts";
import { checkPush } from "../../src/hub/push.ts";
import { hubEndpoint } from "../../src/hub/settings.ts";
import {
  type Checkpoint,
  type OnProgress,
  type PushPlan,
  pushModel,
  pushResults,
  readRecipe,
  writeModelCard,
  writeRecipe,
} from "../../src/index.ts";
import { flag, type OptionOf, UsageError, value, values } from "./command.ts";

const group = "model card";
const hub = "Hugging Face Hub";

export const publishOptions: { readonly [K in keyof PublishValues]: OptionOf<PublishValues[K]> } = {
  card: flag("--card", "write README.md with model-index, plots and .eval_results", { group }),
  results: values("--results <path>", "results files or folders, of the model and of its base; repeatable", { group }),
  cardBase: value("--card-base <id>", "the base's id on the Hub (default: as the recipe says)", { group }),
  license: value("--license <id>", "the Hub's identifier of the licence (default: the base's)", { group }),
  push: value("--push <owner/name>", "push what --output holds to this repository, private if it is made", {
    group: hub,
  }),
  pushResults: value("--push-results <owner/name>", "push the folder of --results to this data set", { group: hub }),
  public: flag("--public", "make the repository public", { group: hub }),
  yes: flag("--yes", "push without asking first", { group: hub }),
};

export interface PublishValues {
  readonly card: boolean;
  readonly results: string[];
  readonly cardBase: string | undefined;
  readonly license: string | undefined;
  readonly push: string | undefined;
  readonly pushResults: string | undefined;
  readonly public: boolean;
  readonly yes: boolean;
}

/** Whether there is something to do for a folder as it is. Mistakes, and what would stop a push, are told before work. */
export async function wantsPublishing(values: PublishValues): Promise<boolean> {
  const { card, results, cardBase, license, push, pushResults: scores, yes } = values;
  const names = [push, scores].filter((name) => name !== undefined);
  const idle = [
    !card && scores === undefined && results.length > 0 && "--results is for --card and --push-results",
    !card && cardBase !== undefined && "--card-base is for --card",
    !card && license !== undefined && "--license is for --card",
    names.length === 0 && values.public && "--public is for --push and --push-results",
    names.length === 0 && yes && "--yes is for --push and --push-results",
  ].find((sentence) => sentence);
  if (idle) throw new UsageError(`${idle}; give that too, or leave it out`);
  if (scores !== undefined && (results.length !== 1 || results[0]!.endsWith(".json")))
    throw new UsageError("--push-results pushes one folder; name it with --results");
  for (const name of names) await checkPush(name);
  if (names.length > 0 && !yes && !process.stdin.isTTY)
    throw new UsageError(
      `no terminal to ask on before ${names.join(" and ")} is pushed; give --yes to push without asking`,
    );
  return card || names.length > 0;
}

/** What is to be published. */
export interface Published {
  /** Left out where there is no card to make. */
  readonly checkpoint: Checkpoint | undefined;
  /** Where the model was opened, with its recipe. */
  readonly model: string;
  /** Where it was written. */
  readonly folder: string;
  readonly force: boolean;
  readonly onProgress: OnProgress;
}

/** Carries the recipe over, writes the card, pushes, and says in a line each what was done. */
export async function publish(values: PublishValues, what: Published): Promise<string[]> {
  const { push, pushResults: scores, results, yes } = values;
  const { folder, onProgress } = what;
  const lines = await writeCard(values, what);
  const options = {
    ...{ isPublic: values.public, onProgress },
    ...(!yes && { confirm: (plan: PushPlan) => ask(plan) }),
  };
  const pushed = async (work: () => Promise<{ readonly summary: string }>) => {
    try {
      lines.push((await work()).summary);
    } catch (error) {
      // What is written already must be known all the same.
      if (error instanceof PrunelabError) for (const line of lines) process.stderr.write(`${line}\n`);
      throw error;
    }
  };
  if (scores !== undefined) await pushed(() => pushResults(results[0]!, scores, options));
  if (push !== undefined) await pushed(() => pushModel(folder, push, options));
  return lines;
}

async function writeCard({ card, results, ...given }: PublishValues, what: Published): Promise<string[]> {
  const { checkpoint, model, folder, force } = what;
  if (checkpoint === undefined) return [];
  const recipe = await readRecipe(model);
  if (recipe && model !== folder) await writeRecipe(folder, recipe);
  if (!card) return [];
  const { scores } = await writeModelCard(checkpoint, folder, {
    ...{ results, force },
    ...(recipe && { recipe }),
    ...(given.cardBase && { base: given.cardBase }),
    ...(given.license && { licence: given.license }),
    ...(given.push && { id: given.push }),
    ...(given.pushResults && { source: `${hubEndpoint()}/datasets/${given.pushResults}` }),
  });
  const lines = scores.length === 0 ? "no scores" : `${scores.length} lines of scores`;
  return [`card with ${lines}: ${join(folder, "README.md")}`];
}

/** Asks on the terminal; anything but yes is no. */
export async function ask(
  { url, isPublic, files, bytes }: PushPlan,
  {
    input = process.stdin,
    output = process.stderr,
  }: { input?: NodeJS.ReadableStream; output?: NodeJS.WritableStream } = {},
): Promise<boolean> {
  const asking = createInterface({ input, output });
  try {
    const seen = isPublic ? "PUBLIC" : "private";
    const names = files.slice(0, 5).map(({ path }) => path);
    const more = files.length > names.length ? ` and ${files.length - names.length} more` : "";
    const question = `push ${files.length} file${files.length === 1 ? "" : "s"}, ${(bytes / 1e6).toFixed(1)} MB (${names.join(", ")}${more}) to ${url}, ${seen}? [y/N] `;
    // The end of the input is no answer.
    const answer = await Promise.race([
      asking.question(question),
      new Promise<string>((ended) => asking.once("close", () => ended(""))),
    ]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}

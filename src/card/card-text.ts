/** The text of a model card: what was done, the table, how to use the model, its limits and its licence. */
import { percentText } from "../base/value-table.ts";
import { maskRefinements, pruningMethods } from "../prune/methods/methods.ts";
import { linearLayers } from "../prune/options.ts";
import type { SparsityReport } from "../prune/sparsity.ts";
import { escapeMarkdown, shortName } from "../report/document.ts";
import { frontMatter } from "./card-metadata.ts";
import { usage } from "./card-usage.ts";
import type { Licence } from "./licence.ts";
import type { Recipe } from "./recipe.ts";
import { resultsTable } from "./results-section.ts";
import type { CardScore } from "./scored-tasks.ts";

/** In every card, so that one that a person wrote is told from it. */
export const generatedMark = "<!-- made by Prunelab from the model's weights, recipe and results -->";

/** All that a card says. */
export interface CardFacts {
  readonly name: string;
  readonly base: string | undefined;
  readonly recipe: Recipe | undefined;
  readonly scores: readonly CardScore[];
  readonly zeros: SparsityReport;
  readonly licence: Licence | undefined;
  /** The Hub's identifier. */
  readonly licenceId: string | undefined;
  readonly modelType: string;
  /** The model's files, from its folder on. */
  readonly files: readonly string[];
  /** Captions by path. */
  readonly plots: ReadonlyMap<string, string>;
}

/** The whole `README.md`. */
export function cardText(facts: CardFacts): string {
  const { name, base, recipe, scores, licenceId, files } = facts;
  const { library, text: use } = usage(name, files);
  const head = frontMatter({
    ...{ name, library, scores, licence: licenceId },
    base: base !== undefined && isHubId(base) ? base : undefined,
    tags: ["pruned", "sparsity", ...(recipe?.prune ? [recipe.prune.method] : []), "prunelab"],
    datasets: isDolly(recipe) ? ["databricks/databricks-dolly-15k"] : [],
  });
  const sections = [
    `${head}${generatedMark}`,
    `# ${escapeMarkdown(shortName(name))}`,
    opening(facts),
    `## How it was made\n\n${making(facts)}`,
    ...(scores.length > 0
      ? [`## Results\n\n${resultsTable(scores, name, base)}${plot(facts, "plots/scores.svg")}`]
      : []),
    `## Zeros\n\n${zerosText(facts.zeros)}${plot(facts, "plots/sparsity.svg")}`,
    `## How to use it\n\n${use}`,
    `## What it is for\n\n${purpose}`,
    `## Limits and bias\n\n${limits(facts)}`,
    `## Licence\n\n${licenceText(facts)}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

function opening({ base, recipe, zeros }: CardFacts): string {
  const of = base === undefined ? "A language model" : `${escapeMarkdown(base)}`;
  const by = recipe?.prune ? ` by ${recipe.prune.method} pruning` : "";
  const { scope, zeroShare } = zeros;
  return `${of} with ${percentText(scope.sparsity)} of the weights of its ${scopeWords(recipe)} set to zero${by}, ${percentText(zeroShare)} of all its weights.`;
}

function isHubId(name: string): boolean {
  return /^[\w-][\w.-]*\/[\w.-]+$/.test(name);
}

function isDolly(recipe: Recipe | undefined): boolean {
  const trained = recipe?.training?.some((training) => /\bdolly\b/.test(training));
  return trained === true || recipe?.prune?.calibration?.sources.includes("dolly") === true;
}

function scopeWords(recipe: Recipe | undefined): string {
  const isUsual = recipe?.prune === undefined || recipe.prune.scope === linearLayers.source;
  return isUsual ? "blocks' linear layers" : "tensors in scope";
}

function making({ base, recipe, zeros }: CardFacts): string {
  const prune = recipe?.prune;
  const method = pruningMethods.find(({ name }) => name === prune?.method);
  const refinements = maskRefinements.filter(({ name }) => prune?.more.some((more) => more.endsWith(` ${name}`)));
  const where = prune && `${percentText(prune.sparsity)}, ${patternWords(prune.pattern)}`;
  const scope =
    scopeWords(recipe) === "blocks' linear layers"
      ? "the linear layers inside the blocks (attention and MLP); embeddings, head and norms are as in the base"
      : `tensors whose names match ${escapeMarkdown(prune!.scope)}`;
  const items = [
    base !== undefined &&
      `**Base**: ${isHubId(base) ? `[${escapeMarkdown(base)}](https://huggingface.co/${base})` : escapeMarkdown(base)}`,
    prune &&
      `**Method**: ${prune.method}, which ${method?.summary ?? "Prunelab no longer has"} (${[method, ...refinements].map((entry) => entry?.source).join("; ")})`,
    ...(prune?.more ?? []).map((more) => `**Refinement**: ${escapeMarkdown(more)}`),
    where && `**Sparsity**: ${where}`,
    `**Scope**: ${scope}`,
    `**Share of weights**: ${count(zeros.scope.zeros)} of ${count(zeros.scope.count)} in scope are zero (${percentText(zeros.scope.sparsity)}); the scope is ${percentText(zeros.scopeShare)} of the model's ${count(zeros.modelCount)} weights, so the zeros are ${percentText(zeros.zeroShare)} of it`,
    ...(recipe?.training ?? []).map((training) => `**Training**: ${escapeMarkdown(training)}`),
    prune && `**Data**: ${dataWords(prune)}${recipe?.training ? "; then see the commands" : ""}`,
    recipe
      ? `**Command**, of Prunelab ${escapeMarkdown(recipe.version)}:\n\n${fenced("sh", recipe.commands.join("\n"))}`
      : "**Command**: not recorded; the above is read from the weights",
  ];
  return items
    .filter((item) => item !== false && item !== undefined)
    .map((item) => `- ${item.replaceAll("\n", "\n  ").replaceAll(/^ +$/gm, "")}`)
    .join("\n");
}

const patterns: Readonly<Record<string, string>> = {
  tensor: "the least important weights of each tensor",
  row: "the least important weights of each output row",
  global: "the least important weights of all tensors together",
};

function patternWords(pattern: string): string {
  const [zeros, of] = pattern.split(":");
  return patterns[pattern] ?? `${zeros} of every ${of} consecutive inputs of a row`;
}

function dataWords({ method, calibration }: NonNullable<Recipe["prune"]>): string {
  if (calibration === undefined) return `none; ${method} looks at the weights alone`;
  const { sources, windows, tokens } = calibration;
  const named = sources.map((source) =>
    source === "dolly"
      ? "[Databricks Dolly-15k](https://huggingface.co/datasets/databricks/databricks-dolly-15k)"
      : escapeMarkdown(source.split("/").at(-1)!),
  );
  return `importance was measured on ${windows} windows of ${tokens} tokens from ${named.join(" and ")}`;
}

function zerosText({ scope, tensors }: SparsityReport): string {
  const shares = tensors.map(({ sparsity }) => sparsity);
  const [least, most] = [Math.min(...shares), Math.max(...shares)];
  const each =
    percentText(least) === percentText(most) ? percentText(least) : `${percentText(least)} to ${percentText(most)}`;
  return `${tensors.length} tensors are in scope, ${each} of each zero, ${percentText(scope.sparsity)} over all.`;
}

function plot({ plots }: CardFacts, path: string): string {
  const caption = plots.get(path);
  return caption === undefined ? "" : `\n\n![${escapeMarkdown(caption)}](${path})`;
}

const purpose = `Research on pruning: what a model keeps and loses, a start for fine-tuning under the mask, a student of distillation, a baseline for other
methods. Not for production, nor where facts, safety or advice matter, without an evaluation of your own on the task at hand.`;

function limits({ scores, base, files }: CardFacts): string {
  const subset = scores.some(({ n, originalCount, dataset }) => dataset !== null && n < originalCount);
  const lost = scores.filter(({ within, change }) => within === null && change?.high !== undefined && change.high < 0);
  return [
    `It inherits the biases and gaps of ${base === undefined ? "its base" : escapeMarkdown(base)} and of the data that was trained on; pruning can shift them, for some groups and topics more than for others, and nothing here measured that.`,
    lost.length > 0
      ? `It is weaker than its base: ${lost.map(({ label, change }) => `${escapeMarkdown(label)} falls by ${Math.abs(100 * change!.value).toFixed(2)} points`).join(", ")}.`
      : "It may be weaker than its base at what the table does not have.",
    ...(subset
      ? ["The scores are of the first documents of each task, no random draw; their intervals do not cover that."]
      : []),
    "Its zeros make it neither smaller in memory nor faster: common runtimes store and multiply them as any other number.",
    ...(files.some((file) => file.endsWith(".safetensors"))
      ? ["Fine-tuning without the mask fills the zeros again; a mask is where a weight is 0."]
      : []),
  ]
    .map((line) => `- ${line}`)
    .join("\n");
}

function licenceText({ licence, licenceId, base }: CardFacts): string {
  if (licence) return `[${licence.name}](${licence.url}), as its base. ${licence.duties}`;
  const where = base !== undefined && isHubId(base) ? ` at https://huggingface.co/${base}` : "";
  const named = licenceId === undefined ? "" : `\`${escapeMarkdown(licenceId)}\`. `;
  return `${named}The terms of the base hold for this model too; read them${where} before you pass it on.`;
}

/** In a fence that is longer than any in the text. */
function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

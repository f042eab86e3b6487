/** What the Hub reads of a card: the YAML at its head with `model-index`, and `.eval_results/*.yaml`. */
import { createRequire } from "node:module";
import type * as Yaml from "yaml";
import type { CardScore } from "./scored-tasks.ts";

const require = createRequire(import.meta.url);

/** What a card's head says. */
export interface CardMetadata {
  readonly name: string;
  /** Id on the Hub; left out where the base is a folder or file. */
  readonly base?: string | undefined;
  readonly licence?: string | undefined;
  readonly library: string;
  readonly tags: readonly string[];
  /** Ids of data sets that weights were chosen or trained with. */
  readonly datasets: readonly string[];
  readonly scores: readonly CardScore[];
}

/** The YAML block with its rules, as https://github.com/huggingface/hub-docs/blob/main/modelcard.md has it. */
export function frontMatter({ name, base, licence, library, tags, datasets, scores }: CardMetadata): string {
  const results = scores.filter(({ dataset, isDemo }) => dataset !== null && !isDemo).map(modelIndexResult);
  const head = {
    ...(licence !== undefined && { license: licence }),
    // The Hub knows adapter, merge, quantized and finetune; a pruned model is nearest to the last.
    ...(base !== undefined && { base_model: base, base_model_relation: "finetune" }),
    library_name: library,
    pipeline_tag: "text-generation",
    tags,
    ...(datasets.length > 0 && { datasets }),
    ...(results.length > 0 && { "model-index": [{ name, results }] }),
  };
  return `---\n${yamlText(head)}---\n`;
}

/** The Hub's names of lm-eval's metrics, where they differ. */
const hubMetrics: Readonly<Record<string, string>> = { acc: "accuracy" };

function modelIndexResult({ label, dataset, metrics, isShare, shots, n }: CardScore): object {
  const { path, name, split } = dataset!;
  return {
    task: { type: "text-generation", name: "Text Generation" },
    dataset: { type: path, name: label, ...(name !== null && { config: name }), ...(split !== null && { split }) },
    metrics: Object.entries(metrics).map(([metric, value]) => ({
      type: hubMetrics[metric] ?? metric,
      name: metric,
      value: isShare ? rounded(100 * value) : rounded(value),
      args: { num_few_shot: shots, documents: n },
    })),
  };
}

/**
 * A file for each data set of the Hub, by its path in the repository, as https://huggingface.co/docs/hub/eval-results has it. The Hub shows those
 * whose data set is registered as a benchmark there; `task_id` is its configuration.
 *
 * @param source Where the answers themselves are: a page, shown beside the score.
 */
export function evalResults(scores: readonly CardScore[], source?: string): Map<string, string> {
  const files = new Map<string, object[]>();
  for (const { dataset, isDemo, model, isShare, metric, shots, n, originalCount, date } of scores) {
    if (dataset === null || isDemo || !/^[\w.-]+\/[\w.-]+$/.test(dataset.path)) continue;
    const notes = [
      `${metric}, ${shots}-shot`,
      n < originalCount ? `${n} of ${originalCount} documents` : "all documents",
      ...(model.low === undefined ? [] : [`95 % interval ${percent(model.low)} to ${percent(model.high!)}`]),
      "lm-evaluation-harness's rules",
    ];
    const path = `.eval_results/${dataset.path.split("/")[1]!.toLowerCase()}.yaml`;
    const entry = {
      dataset: { id: dataset.path, task_id: dataset.name ?? "default" },
      value: rounded(isShare ? 100 * model.value : model.value),
      date: date.toISOString().slice(0, 10),
      ...(source !== undefined && { source: { url: source, name: "Answers" } }),
      notes: notes.join("; "),
    };
    files.set(path, [...(files.get(path) ?? []), entry]);
  }
  return new Map([...files].map(([path, entries]) => [path, yamlText(entries)]));
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

function rounded(value: number): number {
  return Number(value.toFixed(2));
}

/** What every reader of YAML, of 1.1 (PyYAML) and of 1.2, takes for text without quotes. */
const plain = /^(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z][\w./-]*$/i;
/** Not printable in YAML's sense, and so not to stand between quotes as they are. */
const unprintable = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udfff]/g;

/** YAML of block style, each text on its line, in quotes unless it is a plain word. */
export function yamlText(value: unknown): string {
  const { Document, visit } = require("yaml") as typeof Yaml;
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === "string") node.type = plain.test(node.value) ? "PLAIN" : "QUOTE_DOUBLE";
    },
  });
  return document
    .toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER })
    .replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { parse, parseDocument } from "yaml";
import { packageRoot } from "../base/package-root.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { takenChoice } from "../evaluate/comparison-row.ts";
import type { Evaluation, TaskEvaluation } from "../evaluate/evaluation.ts";
import { writeResults } from "../evaluate/results.ts";
import { cardEvaluations, choicesOf, scoredEvaluation } from "../evaluate/scored.test-helper.ts";
import { planPruning } from "../prune/options.ts";
import { pruneAsPlanned } from "../prune/prune.ts";
import { frontMatter } from "./card-metadata.ts";
import { modelCard, writeModelCard } from "./model-card.ts";
import { sweelolAverageMmlu, sweelolCard } from "./published.ts";
import { type Recipe, readRecipe, recipeOf, writeRecipe } from "./recipe.ts";

const plan = planPruning({ method: "magnitude", sparsity: 0.5 });
let folder: string;
let dense: Checkpoint;
let pruned: Checkpoint;
let recipe: Recipe;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "card-"));
  const tiny = await openCheckpointFile(join(packageRoot(), "data", "tiny-gemma3"));
  // Under the names and digests of the evaluations.
  const called = (checkpoint: Checkpoint, { model }: Evaluation): Checkpoint => ({
    ...checkpoint,
    name: model.name,
    digest: async () => model.digest,
  });
  dense = called(tiny, cardEvaluations[0]);
  pruned = called(await pruneAsPlanned(dense, plan), cardEvaluations[1]);
  recipe = await recipeOf(dense, pruned, plan, "prunelab card");
  for (const evaluation of cardEvaluations) await writeResults(withScores(evaluation), folder);
});
after(() => rm(folder, { recursive: true, force: true }));

/** With the metrics that scoring gives. */
function withScores(evaluation: Evaluation): Evaluation {
  const tasks = choicesOf(evaluation).map((task): TaskEvaluation => {
    const samples = task.samples.map((sample) => {
      return { ...sample, metrics: { acc: takenChoice(sample) === sample.target ? 1 : 0 } };
    });
    const value = samples.reduce((sum, { metrics }) => sum + metrics.acc, 0) / samples.length;
    return { ...task, samples, originalCount: 10_042, metrics: { acc: { value, stderr: null } } };
  });
  return { ...evaluation, tasks };
}

const head = (markdown: string) => /^---\n([\s\S]*?)\n---\n/.exec(markdown)![1]!;
const cellsOf = (markdown: string, label: string) =>
  markdown
    .split("\n")
    .find((line) => line.startsWith(`| ${label}`))!
    .split(" | ");

test("the seed card's own table comes out of results with its counts, each number with its interval", async () => {
  const { markdown, scores } = await modelCard(pruned, { recipe, results: folder });
  for (const { label, dense, pruned, change } of [{ ...sweelolAverageMmlu, label: "Average MMLU" }, ...sweelolCard]) {
    const [, model, range, base, , changed, ofChange] = cellsOf(markdown, label);
    const sign = change > 0 ? "+" : "";
    assert.deepEqual([model, base], [`${pruned.toFixed(2)}%`, `${dense.toFixed(2)}%`], label);
    // The published average's change is of rounded numbers.
    assert.equal(changed, `${sign}${change.toFixed(2)}%`, label);
    assert.match(range!, /^\d+\.\d\d% to \d+\.\d\d%$/);
    assert.match(ofChange!, /^[+-]\d+\.\d\d% to [+-]\d+\.\d\d%$/);
  }
  assert.deepEqual(
    scores.slice(0, 2).map(({ task }) => task),
    ["mmlu", "hellaswag"],
  );
  assert.match(markdown, /HellaSwag falls by 14\.0 points \(\d/);
  assert.match(
    markdown,
    /Average MMLU \(5 subjects\): no difference can be concluded\. It sits at guessing \(25\.0 %\)/,
  );
  for (const said of [
    /\*\*Method\*\*: magnitude/,
    /prunelab card/,
    /\*\*Data\*\*: none/,
    /Gemma Terms of Use/,
    /first documents/,
  ])
    assert.match(markdown, said);
});

test("the head has model-index and licence as the Hub reads them, and .eval_results a file for each data set", async () => {
  const { markdown, files, plots } = await modelCard(pruned, { recipe, results: folder });
  const { "model-index": index, ...rest } = parse(head(markdown));
  assert.deepEqual(rest, {
    ...{ license: "gemma", base_model: "google/gemma-3-270m", base_model_relation: "finetune" },
    ...{
      library_name: "transformers",
      pipeline_tag: "text-generation",
      tags: ["pruned", "sparsity", "magnitude", "prunelab"],
    },
  });
  assert.equal(index[0].results.length, sweelolCard.length);
  assert.deepEqual(index[0].results[0], {
    task: { type: "text-generation", name: "Text Generation" },
    dataset: { type: "Rowan/hellaswag", name: "HellaSwag", split: "validation" },
    metrics: [{ type: "accuracy", name: "acc", value: 29.5, args: { num_few_shot: 0, documents: 200 } }],
  });
  const entries = parse(files.get(".eval_results/mmlu.yaml")!);
  assert.equal(entries.length, 5);
  assert.deepEqual(Object.keys(entries[0]), ["dataset", "value", "date", "notes"]);
  assert.ok(entries.every(({ dataset }: { dataset: { id: string } }) => dataset.id === "cais/mmlu"));
  assert.match(files.get("NOTICE")!, /ai\.google\.dev\/gemma\/terms/);
  const shown = [...markdown.matchAll(/\]\((plots\/[^)]+)\)/g)].map(([, path]) => path);
  assert.deepEqual(shown, [...plots.keys()]);
});

test("whatever names hold, the head parses back, by YAML 1.1 and 1.2, and the card keeps its lines", async () => {
  const text = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.string({
      unit: fc.constantFrom(
        "|",
        '"',
        "'",
        "\n",
        "\r",
        "-",
        ":",
        " ",
        "#",
        "\\",
        "`",
        "&",
        "*",
        "\u2028",
        "\u0085",
        "\0",
        "é",
      ),
    }),
    fc.constantFrom("no", "null", "0o17", "1e3", "2026-12-01", "---", "\n---\n", "a: b", "~", "=", "<<"),
  );
  const [score] = (await modelCard(pruned, { recipe, results: folder })).scores.filter(({ dataset }) => dataset);
  fc.assert(
    fc.property(text, text, text, (name, label, tag) => {
      const scores = [{ ...score!, label }];
      const yaml = head(
        frontMatter({ name, licence: tag, library: "transformers", tags: [tag], datasets: [name], scores }),
      );
      for (const version of ["1.1", "1.2"] as const) {
        const document = parseDocument(yaml, { version });
        assert.deepEqual([document.errors, document.warnings], [[], []]);
        const read = document.toJS();
        assert.deepEqual([read.license, read.tags, read.datasets], [tag, [tag], [name]]);
        assert.deepEqual([read["model-index"][0].name, read["model-index"][0].results[0].dataset.name], [name, label]);
      }
    }),
  );
  const name = 'a|"b"\n# c\n---\n`d`';
  const { markdown } = await modelCard(
    { ...pruned, name },
    { recipe: { ...recipe, commands: ["x ```` y"] }, base: "x|\ny", results: folder },
  );
  assert.equal(parse(head(markdown))["model-index"][0].name, name);
  const table = markdown.split("\n").filter((line) => line.startsWith("| "));
  for (const line of table)
    assert.equal(line.replaceAll("\\|", "").split("|").length, table[1]!.split("|").length, line);
  assert.match(markdown, /`{5}sh\n {2}x ```` y\n {2}`{5}/);
});

test("results of other weights, of other documents and of no benchmark do not pass for the model's", async () => {
  const other = await mkdtemp(join(folder, "other-"));
  await writeResults(withScores(cardEvaluations[0]), other);
  await assert.rejects(
    modelCard(pruned, { recipe, results: other }),
    /^PrunelabError: no results of google\/gemma-3-270m-magnitude-50 in .*, but of google\/gemma-3-270m; score it/,
  );
  const docs = [
    { target: 0, sums: [-1, -2] },
    { target: 1, sums: [-1, -2] },
  ];
  const demo = withScores(scoredEvaluation(pruned.name, { boolq: docs }));
  const tasks = demo.tasks.map((task) => ({ ...task, source: { ...task.source, kind: "demo" as const } }));
  await writeResults({ ...demo, tasks } as Evaluation, other);
  const { markdown, files } = await modelCard(pruned, { recipe, results: other });
  assert.match(markdown, /Not the benchmark: BoolQ ran on small made-up documents/);
  assert.equal(cellsOf(markdown, "BoolQ")[3], "");
  assert.equal(parse(head(markdown))["model-index"], undefined);
  assert.ok(![...files.keys()].some((path) => path.startsWith(".eval_results")));
  await writeFile(join(other, "results_x.json"), '{"results": []}');
  await assert.rejects(
    modelCard(pruned, { recipe, results: other }),
    /^PrunelabError: not a results file: .*results_x\.json: results: /,
  );
});

test("a card replaces its like, and no person's; the recipe beside it is read back", async () => {
  const place = await mkdtemp(join(folder, "place-"));
  await writeModelCard(pruned, place);
  assert.match(await readFile(join(place, "plots", "sparsity.svg"), "utf8"), /^<svg/);
  assert.match(await readFile(join(place, "README.md"), "utf8"), /not recorded; the above is read from the weights/);
  await writeRecipe(place, recipe);
  assert.deepEqual(await readRecipe(place), recipe);
  assert.equal(await readRecipe(join(place, "README.md")), undefined);
  await writeModelCard(pruned, place, { recipe });
  await writeFile(join(place, "README.md"), "# Mine\n");
  await assert.rejects(
    writeModelCard(pruned, place, { recipe }),
    /there already, and not made by Prunelab: .*README\.md; move it away/,
  );
  await writeModelCard(pruned, place, { recipe, force: true });
  await writeFile(join(place, "prunelab.json"), '{"base": 1}');
  await assert.rejects(readRecipe(place), /^PrunelabError: not a recipe of Prunelab: .*prunelab\.json: base: /);
});

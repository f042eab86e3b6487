import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { packageRoot } from "../../src/base/package-root.ts";
import { frame, frameHtml, type ScoreRow, type SweepRow, sweelolCard } from "../../src/index.ts";
import { labelOf as taskLabel } from "../../src/tasks/find-tasks.ts";
import { recipesOf } from "./plot-methods.ts";

interface Cell {
  readonly cell_type: string;
  readonly id: string;
  readonly metadata: { readonly tags?: readonly string[] };
  readonly source: string | readonly string[];
  readonly outputs?: readonly { readonly data?: Readonly<Record<string, unknown>> }[];
}

interface Notebook {
  readonly cells: readonly Cell[];
  readonly metadata: { readonly kernelspec: { readonly name: string; readonly display_name: string } };
  readonly nbformat: number;
  readonly nbformat_minor: number;
}

type Row = Readonly<Record<string, string | number | null>>;

interface Trace {
  readonly type: string;
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly (string | number)[];
}

const folder = join(packageRoot(), "notebooks");
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".ipynb"))
  .sort();
/** What scripts/tools/score-notebooks.ts wrote, by notebook. */
const scoresPath = join(packageRoot(), "data", "expected", "notebook-scores.json");

function read(name: string): Notebook {
  return JSON.parse(readFileSync(join(folder, name), "utf8")) as Notebook;
}

function outputsOf(notebook: Notebook): Readonly<Record<string, unknown>>[] {
  return notebook.cells.flatMap(({ outputs = [] }) => outputs.flatMap(({ data }) => (data ? [data] : [])));
}

function textOf(source: unknown): string {
  return [source].flat().join("");
}

/** The exact rows of all frames in a notebook's outputs. The order of their columns is the schema's: Jupyter sorts keys. */
function framesOf(notebook: Notebook): { rows: Row[]; columns: string[]; html: string }[] {
  return outputsOf(notebook).flatMap((data) => {
    const resource = data["application/vnd.dataresource+json"] as
      | { data: Row[]; schema: { fields: { name: string }[] } }
      | undefined;
    if (!resource) return [];
    const columns = resource.schema.fields.map(({ name }) => name);
    return [{ rows: resource.data, columns, html: textOf(data["text/html"]) }];
  });
}

function equal(seen: unknown, expected: number | null, what: string): void {
  if (expected === null) assert.equal(seen, null, what);
  else assert.ok(typeof seen === "number" && Math.abs(seen - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), what);
}

/** Compares every score that a notebook shows, in frames and in figures, with the library's; returns how many there were. */
async function compareScores(notebook: Notebook, scores: readonly (ScoreRow & Partial<SweepRow>)[]): Promise<number> {
  let count = 0;
  const check = (seen: unknown, expected: number | null, what: string) => {
    equal(seen, expected, `${what}: shown ${seen}, measured ${expected}`);
    count += 1;
  };
  const find = (wanted: Partial<SweepRow>) => {
    const keys = Object.keys(wanted) as (keyof SweepRow)[];
    const found = scores.find((row) => keys.every((key) => row[key] === wanted[key]));
    assert.ok(found, `no measured score for ${JSON.stringify(wanted)}; run npm run notebooks:scores`);
    return found;
  };
  for (const { rows, columns, html } of framesOf(notebook)) {
    // What is read is what was measured, rounded.
    assert.ok(html.startsWith(frameHtml(await frame(rows, { columns }))), "a table does not show its own numbers");
    for (const row of rows) {
      if ("score" in row) {
        const { model, task, shots, metric, n } = row as unknown as ScoreRow;
        const of = {
          model,
          task,
          shots,
          metric,
          n,
          ...("method" in row && { method: row.method as string, sparsity: row.sparsity as number }),
        };
        const found = find(of);
        for (const key of ["score", "low", "high"] as const) check(row[key], found[key], `${task} of ${model}, ${key}`);
      } else if ("card: dense" in row) {
        const task = sweelolCard.find(({ label }) => label === row.task)?.task;
        if (task === undefined) continue;
        const [dense, pruned] = ["google/gemma-3-270m", "google/gemma-3-270m-magnitude-50"].map(
          (model) => 100 * find({ model, task, metric: "acc", n: row.n as number }).score,
        );
        check(row.dense, dense!, `${task}, dense`);
        check(row.pruned, pruned!, `${task}, pruned`);
        check(row.change, pruned! - dense!, `${task}, change`);
      } else if ("published" in row && row.measured !== null) {
        const found = scores.find((score) => score.metric === row.metric && 100 * score.score === row.measured);
        assert.ok(found, `${row.benchmark}: shown ${row.measured}, which was not measured`);
        count += 1;
      }
    }
  }
  for (const data of outputsOf(notebook)) {
    const figure = data["application/vnd.plotly.v1+json"] as { data: Trace[] } | undefined;
    for (const { type, name, x, y } of figure?.data ?? []) {
      for (const row of scores) {
        const isBar = type === "bar" && row.method === undefined && name === row.model.split("/").at(-1);
        if (isBar && row.metric === "acc" && y.includes(taskLabel(row.task))) {
          check(x[y.indexOf(taskLabel(row.task))], 100 * row.score, `bar of ${row.task}`);
        }
        const at = row.method === name ? x.indexOf(100 * row.sparsity!) : -1;
        const isPerplexity = textOf(JSON.stringify(figure)).includes("perplexity");
        if (type === "scatter" && at >= 0 && row.metric === (isPerplexity ? "perplexity" : "acc")) {
          check(y[at], isPerplexity ? row.score : 100 * row.score, `point of ${row.method} at ${row.sparsity}`);
        }
      }
    }
  }
  return count;
}

it("the recipes that are shown, and the README's picture, are those of the log", () => {
  const log = readFileSync(join(packageRoot(), "notebooks", "LOG.md"), "utf8");
  const recipes = readFileSync(join(packageRoot(), "data", "expected", "recipes.json"), "utf8");
  assert.deepEqual(JSON.parse(recipes), recipesOf(log), "run npm run plots:methods");
  const picture = readFileSync(join(packageRoot(), "data", "plots", "methods-50.svg"), "utf8");
  for (const { name, pattern, recipe } of recipesOf(log)) {
    if (pattern === "50 %" && recipe.method !== "random") assert.ok(picture.includes(`>${name}<`), name);
  }
});

describe("the notebooks", () => {
  it("are the nine that the README names", () => {
    const expected = [
      "calibration",
      "evaluation",
      "export",
      "gemma-benchmarks",
      "get-started",
      "prune",
      "recipes",
      "recovery",
      "sparsity-sweep",
    ];
    assert.deepEqual(
      names,
      expected.map((name) => `${name}.ipynb`),
    );
  });

  for (const name of names) {
    it(`${name} has imports first, parameters, and a sentence before each cell`, () => {
      const { cells, metadata, nbformat, nbformat_minor } = read(name);
      assert.deepEqual([nbformat, nbformat_minor], [4, 5]);
      assert.deepEqual(
        [metadata.kernelspec.name, metadata.kernelspec.display_name],
        ["prunelab", "TypeScript (Prunelab)"],
      );
      assert.equal(new Set(cells.map(({ id }) => id)).size, cells.length);
      // What a runner injected stands right after the parameters.
      const own = cells.filter(({ metadata: { tags } }) => !tags?.includes("injected-parameters"));
      const code = own.filter(({ cell_type }) => cell_type === "code");
      assert.match(textOf(code[0]!.source), /^import /);
      assert.deepEqual(code[1]!.metadata.tags, ["parameters"]);
      for (const line of textOf(code[1]!.source).split("\n")) assert.match(line, /^const \w+: [^=]+ = .+;$/);
      for (const [index, { cell_type }] of own.entries()) {
        if (cell_type === "code") assert.equal(own[index - 1]?.cell_type, "markdown", `cell ${index} has no sentence`);
      }
    });

    it(`${name} shows no path of a machine`, () => {
      const text = JSON.stringify(read(name).cells.map(({ outputs }) => outputs));
      assert.doesNotMatch(text, /["'\s(](\/home\/|\/root\/|\/tmp\/|\/work\/|\/Users\/|[A-Z]:\\\\)/);
    });
  }

  for (const [name, shows] of [
    ["evaluation", 30],
    ["gemma-benchmarks", 20],
    ["sparsity-sweep", 60],
  ] as const) {
    it(`${name} shows the scores that the library measured`, async () => {
      assert.ok(existsSync(scoresPath), "no measured scores; run npm run notebooks:scores");
      const scores = JSON.parse(readFileSync(scoresPath, "utf8")) as Record<string, (ScoreRow & Partial<SweepRow>)[]>;
      const count = await compareScores(read(`${name}.ipynb`), scores[name]!);
      assert.ok(count >= shows, `only ${count} scores are shown; run the notebooks`);
    });
  }

  it("would be caught with a wrong score, in a table, in what is read of it, or in a figure", async () => {
    const score: ScoreRow = {
      ...{ model: "google/gemma-3-270m", task: "hellaswag", shots: 0, metric: "acc", n: 200, score: 0.435 },
      ...{ low: 0.37, high: 0.5, note: "" },
    };
    const notebook = async (shown: Partial<ScoreRow>, html = "", bar = 43.5): Promise<Notebook> => {
      const made = await frame([{ ...score, ...shown }]);
      const display = (made as unknown as Record<symbol, () => Record<string, unknown>>)[
        Symbol.for("Jupyter.display")
      ]!;
      const figure = { data: [{ type: "bar", name: "gemma-3-270m", y: ["HellaSwag"], x: [bar] }] };
      const outputs = [
        { data: { ...display.call(made), ...(html && { "text/html": html }) } },
        { data: { "application/vnd.plotly.v1+json": figure } },
      ];
      const cell = { cell_type: "code", id: "a", metadata: {}, source: "", outputs };
      const kernelspec = { name: "", display_name: "" };
      return { cells: [cell], metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 };
    };
    assert.equal(await compareScores(await notebook({}), [score]), 4);
    await assert.rejects(
      compareScores(await notebook({ score: 0.436 }), [score]),
      /score: shown 0\.436, measured 0\.435/,
    );
    await assert.rejects(compareScores(await notebook({ high: 0.51 }), [score]), /high: shown 0\.51/);
    await assert.rejects(compareScores(await notebook({ task: "piqa" }), [score]), /no measured score for .*piqa/);
    await assert.rejects(compareScores(await notebook({}, "<table>0.9</table>"), [score]), /does not show its own/);
    await assert.rejects(compareScores(await notebook({}, "", 44), [score]), /bar of hellaswag: shown 44/);
  });
});

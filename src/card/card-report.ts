/** The report of the main job in Markdown: the table, what was scored and pruned, and what must not be overlooked. */
import type { Evaluation } from "../evaluate/evaluation.ts";
import type { SparsityReport } from "../prune/sparsity.ts";
import { compareWithCard, markdownTable } from "./card-table.ts";

/** Everything that the report tells. */
export interface CardReportInput {
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  readonly sparsity: SparsityReport;
  /** The statistics of the two side by side, in Markdown. */
  readonly comparison: string;
}

/** The report, and its warnings apart, to be said aloud. */
export function cardReport({ dense, pruned, sparsity, comparison }: CardReportInput): {
  markdown: string;
  warnings: string[];
} {
  const warnings = warningsFor(dense);
  const limit = dense.limit === null ? "all documents" : `limit ${dense.limit}`;
  const sources = dense.tasks.map(
    ({ task, source, samples, originalCount }) =>
      `| ${task.task} | ${samples.length} of ${originalCount} | ${source.kind} | \`${source.where}\` |`,
  );
  const markdown = `# ${pruned.model.name} beside ${dense.model.name}

${warnings.map((warning) => `> **${warning}**\n\n`).join("")}Zero-shot accuracy in percent by lm-evaluation-harness 0.4.13's rules, ${limit}; change in points.
"Card" is the table of sweelol/gemma3-270m-pruned-baseline-50pc. Its average MMLU, and ours, is the plain mean of the five accuracies.

${markdownTable(compareWithCard(dense, pruned))}

${comparison}

## What was pruned

${sparsity.markdown}

## What was scored

| task | documents | source | where |
| --- | ---: | --- | --- |
${sources.join("\n")}

Scoring took ${dense.seconds.toFixed(1)} s (dense) and ${pruned.seconds.toFixed(1)} s (pruned); ${dense.reusedAnswers} and ${pruned.reusedAnswers} answers came from earlier runs.
Weights: dense \`${dense.model.digest}\`, pruned \`${pruned.model.digest}\`.
`;
  return { markdown, warnings };
}

function warningsFor({ tasks }: Evaluation): string[] {
  const demo = tasks.filter(({ source }) => source.kind === "demo").map(({ task }) => task.task);
  if (demo.length === 0) return [];
  return [
    `DEMO, NOT THE BENCHMARK: ${demo.join(", ")} ran on small made-up documents, since no benchmark data was found; these numbers mean nothing. Set PRUNELAB_DATA to a folder with the data, or connect to the Hub.`,
  ];
}

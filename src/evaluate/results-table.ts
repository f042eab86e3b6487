/** One evaluation as a Markdown table with lm-eval's columns. */
import type { Metrics } from "../tasks/output-types/output-types.ts";
import type { Evaluation } from "./evaluation.ts";

/** A row for each metric of each task and group: name, version, shots, documents, metric, value and standard error in [0, 1]. */
export function resultsTable(evaluation: Evaluation): string {
  const lines = [
    "| task | version | n-shot | n | metric | value | stderr |",
    "| --- | ---: | ---: | ---: | --- | ---: | ---: |",
  ];
  const add = (name: string, version: number, shots: string, n: number | string, metrics: Metrics) => {
    for (const [metric, { value, stderr }] of Object.entries(metrics)) {
      const error = stderr === null ? "" : `± ${stderr.toFixed(4)}`;
      lines.push(`| ${name} | ${version} | ${shots} | ${n} | ${metric} | ${value.toFixed(4)} | ${error} |`);
    }
  };
  for (const { group, sampleCount, metrics } of evaluation.groups)
    add(group.group, group.version, "", sampleCount, metrics);
  for (const { task, fewshotCount, examples, samples, source, metrics, decision } of evaluation.tasks) {
    const demo = source.kind === "demo" ? " (DEMO, not the benchmark)" : "";
    const draw = examples?.isLmEvalDraw === false ? " (not lm-eval's draw)" : "";
    add(
      task.task + demo,
      task.version,
      fewshotCount + draw,
      decision?.saved ? `${samples.length} of ${decision.limit}, decided` : samples.length,
      metrics,
    );
  }
  return lines.join("\n");
}

/** A published table as a heat map, or as bars where it has one model. */
import { barFigure } from "../plot/bar-figure.ts";
import type { Figure, FigureText } from "../plot/figure.ts";
import { heatMap } from "../plot/heat-map.ts";
import type { PublishedTable } from "./published.ts";

/** Scores in percent: a cell for each benchmark and model. */
export function publishedFigure(
  table: PublishedTable,
  { title = table.title, source = table.source }: FigureText = {},
): Figure {
  const labels = table.rows.map(({ benchmark, shots }) => `${benchmark}${shots === "-" ? "" : `, ${shots}`}`);
  if (table.models.length === 1) {
    const bars = table.rows.map(({ scores }, index) => ({ label: labels[index]!, value: scores[0]! }));
    return barFigure({ title, source, unit: "score (%)", series: [{ name: table.models[0]!, bars }] });
  }
  return heatMap({
    ...{ title, source, rows: labels, columns: table.models, range: [0, 100] },
    values: table.rows.map(({ scores }) => scores),
    unit: "scores in %; how many documents is not published",
    text: (score) => (Number.isInteger(score) ? score.toFixed(1) : String(score)),
  });
}

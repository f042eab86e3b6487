/** A published table as a heat map, or as bars where it has one model. */
import { barFigure } from "../plot/bar-figure.ts";
import { axis, captionOf, escapeText, type Figure, type FigureText, labelRoom, makeFigure } from "../plot/figure.ts";
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
  const { models } = table;
  return makeFigure({
    title,
    caption: captionOf("Scores in %; how many documents is not published", `Source: ${source}`),
    // Bars as cells: plotly draws its own heat maps on a canvas, which is not there without a browser.
    data: models.map((model, column) => {
      const scores = table.rows.map((row) => row.scores[column]!);
      return {
        type: "bar",
        orientation: "h",
        name: escapeText(model),
        y: labels,
        x: labels.map(() => 0.96),
        base: labels.map(() => column - 0.48),
        text: scores.map((score) => (Number.isInteger(score) ? score.toFixed(1) : String(score))),
        ...{ textposition: "inside", insidetextanchor: "middle", textangle: 0, constraintext: "none" },
        textfont: { size: 12, color: scores.map((score) => (score > 50 ? "#000000" : "#ffffff")) },
        marker: { color: scores, coloraxis: "coloraxis" },
        customdata: scores,
        hovertemplate: `%{y}<br>${escapeText(model)}: %{customdata}<extra></extra>`,
      };
    }),
    plotHeight: 30 * table.rows.length,
    left: labelRoom(labels),
    right: 80,
    below: 22,
    above: 22,
    hasLegend: false,
    layout: {
      barmode: "overlay",
      bargap: 0.06,
      xaxis: axis({
        ...{ side: "top", showgrid: false, zeroline: false, range: [-0.5, models.length - 0.5] },
        ...{ tickmode: "array", tickvals: models.map((_, column) => column), ticktext: models.map(escapeText) },
      }),
      yaxis: axis({ autorange: "reversed", showgrid: false, type: "category" }),
      coloraxis: {
        ...{ cmin: 0, cmax: 100, colorscale: "Cividis" },
        colorbar: { title: { text: "%" }, thickness: 12, outlinewidth: 0, len: 1, tickvals: [0, 25, 50, 75, 100] },
      },
    },
  });
}

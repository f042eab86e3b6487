/** How weights are spread before and after pruning. */
import type { WeightHistogram } from "../prune/weight-histogram.ts";
import { axis, captionOf, escapeText, type Figure, type FigureText, makeFigure, seriesColors } from "./figure.ts";

/** Both histograms in one picture; they must have the same bins. Zeros are counted in the caption, since their bar would dwarf all others. */
export function histogramFigure(
  before: WeightHistogram,
  after: WeightHistogram,
  { title = "Weights before and after pruning", source }: FigureText = {},
): Figure {
  const middles = ({ edges, counts }: WeightHistogram) => counts.map((_, bin) => (edges[bin]! + edges[bin + 1]!) / 2);
  const millions = ({ counts }: WeightHistogram) => counts.map((count) => count / 1e6);
  const hover = (name: string) => `%{x:.4f}: %{y:.3f} million<extra>${escapeText(name)}</extra>`;
  // Filled before, an outline after, so that neither hides the other.
  const filled = {
    ...{ type: "bar", name: escapeText(before.name), x: middles(before), y: millions(before) },
    width: before.counts.map((_, bin) => before.edges[bin + 1]! - before.edges[bin]!),
    marker: { color: seriesColors[0], opacity: 0.55, line: { width: 0 } },
    hovertemplate: hover(before.name),
  };
  const outline = {
    ...{ type: "scatter", mode: "lines", name: escapeText(after.name), x: middles(after), y: millions(after) },
    line: { shape: "hvh", width: 2, color: seriesColors[1] },
    hovertemplate: hover(after.name),
  };
  const zeros = ({ name, zeros, count }: WeightHistogram) => `${((100 * zeros) / count).toFixed(1)} % in ${name}`;
  const outside =
    before.outside === 0 ? undefined : `${before.outside.toLocaleString("en-US")} larger ones are not shown`;
  return makeFigure({
    title,
    caption: captionOf(
      `Weights, in millions a bin of ${(before.edges[1]! - before.edges[0]!).toPrecision(2)}; zeros are not drawn: ${zeros(before)}, ${zeros(after)}`,
      outside,
      `n = ${before.count.toLocaleString("en-US")} weights`,
      `Source: ${source ?? "the linear layers inside the blocks, counted by Prunelab"}`,
    ),
    data: [filled, outline],
    plotHeight: 260,
    left: 76,
    xTitle: "weight",
    yTitle: "weights (millions)",
    layout: {
      barmode: "overlay",
      bargap: 0,
      xaxis: axis({ range: [before.edges[0], before.edges.at(-1)], zeroline: false }),
      yaxis: axis({ rangemode: "tozero" }),
    },
  });
}

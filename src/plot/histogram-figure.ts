/** How weights are spread before and after pruning. */
import type { WeightHistogram } from "../prune/weight-histogram.ts";
import { axis, captionOf, escapeText, type Figure, type FigureText, makeFigure, seriesColors } from "./figure.ts";

/** Both histograms in one picture; they must have the same bins. Zeros are told in the caption, since their bar would dwarf all others. */
export function histogramFigure(
  before: WeightHistogram,
  after: WeightHistogram,
  { title = "Weights before and after pruning", source }: FigureText = {},
): Figure {
  const bars = ({ name, edges, counts }: WeightHistogram, index: number, opacity: number) => ({
    type: "bar",
    name: escapeText(name),
    x: counts.map((_, bin) => (edges[bin]! + edges[bin + 1]!) / 2),
    width: counts.map((_, bin) => edges[bin + 1]! - edges[bin]!),
    y: counts.map((count) => count / 1000),
    marker: { color: seriesColors[index], opacity, line: { width: 0 } },
    hovertemplate: `%{x:.4f}: %{y:.1f} thousand<extra>${escapeText(name)}</extra>`,
  });
  const zeros = ({ name, zeros, count }: WeightHistogram) => `${((100 * zeros) / count).toFixed(1)} % in ${name}`;
  const outside =
    before.outside === 0 ? undefined : `${before.outside.toLocaleString("en-US")} larger ones are not shown`;
  return makeFigure({
    title,
    caption: captionOf(
      `Weights, in thousands a bin of ${(before.edges[1]! - before.edges[0]!).toPrecision(2)}; zeros are not drawn: ${zeros(before)}, ${zeros(after)}`,
      outside,
      `n = ${before.count.toLocaleString("en-US")} weights`,
      `Source: ${source ?? "the linear layers inside the blocks, counted by Prunelab"}`,
    ),
    data: [bars(before, 0, 1), bars(after, 1, 0.9)],
    plotHeight: 260,
    left: 76,
    xTitle: "weight",
    yTitle: "weights (thousands)",
    layout: {
      barmode: "overlay",
      bargap: 0,
      xaxis: axis({ range: [before.edges[0], before.edges.at(-1)], zeroline: false }),
      yaxis: axis({ rangemode: "tozero" }),
    },
  });
}

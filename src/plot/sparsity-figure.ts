/** The share of zeros block by block. */
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import type { SparsityReport } from "../prune/sparsity.ts";
import { axis, captionOf, type Figure, type FigureText, ink, makeFigure, seriesColors } from "./figure.ts";

/** A bar for each block, a dot for each of its linear layers, in percent of their weights. */
export function sparsityFigure(report: SparsityReport, { title, source }: FigureText = {}): Figure {
  const label = (layer: number | null) => (layer === null ? "other" : String(layer));
  const { scope } = report;
  const tensors = report.tensors.map((tensor) => {
    const place = placeInBlock(tensor.name);
    const short = place?.name.replace(/\.weight$/, "") ?? tensor.name;
    return { ...tensor, block: label(place?.layer ?? null), short };
  });
  return makeFigure({
    title: title ?? `Sparsity by block: ${report.name}`,
    caption: captionOf(
      "Zeros in % of the weights in scope; bars: whole blocks, dots: their single layers",
      `n = ${scope.count.toLocaleString("en-US")} weights in scope, ${(100 * scope.sparsity).toFixed(1)} % of them zero; they are ${(100 * report.scopeShare).toFixed(1)} % of the model's ${report.modelCount.toLocaleString("en-US")}`,
      `Source: ${source ?? "counted by Prunelab in the pruned checkpoint"}`,
    ),
    data: [
      {
        type: "bar",
        name: "block",
        x: report.layers.map(({ layer }) => label(layer)),
        y: report.layers.map(({ sparsity }) => 100 * sparsity),
        marker: { color: seriesColors[0] },
        hovertemplate: "block %{x}: %{y:.2f} %<extra></extra>",
      },
      {
        type: "scatter",
        mode: "markers",
        name: "single layer",
        x: tensors.map(({ block }) => block),
        y: tensors.map(({ sparsity }) => 100 * sparsity),
        text: tensors.map(({ short }) => short),
        marker: { color: "#F0E442", size: 6, line: { color: ink, width: 1 } },
        hovertemplate: "%{text}: %{y:.2f} %<extra></extra>",
      },
    ],
    plotHeight: 240,
    left: 64,
    xTitle: "block",
    yTitle: "zeros (%)",
    layout: {
      bargap: 0.25,
      xaxis: axis({ type: "category", showgrid: false, dtick: 1 }),
      yaxis: axis({ range: [0, 103], dtick: 20 }),
    },
  });
}

/** The share of zeros of every linear layer, as a heat map. */
import { placeInBlock } from "../checkpoint/tensor-names.ts";
import type { SparsityReport } from "../prune/sparsity.ts";
import type { Figure, FigureText } from "./figure.ts";
import { heatMap } from "./heat-map.ts";

/** A cell for each kind of layer and block, in percent of its weights. */
export function sparsityFigure(report: SparsityReport, { title, source }: FigureText = {}): Figure {
  const tensors = report.tensors.map(({ name, sparsity }) => {
    const place = placeInBlock(name);
    const kind = place?.name.replace(/\.weight$/, "") ?? name;
    return { kind, block: place ? String(place.layer) : "other", percent: 100 * sparsity };
  });
  const rows = [...new Set(tensors.map(({ kind }) => kind))];
  const columns = [...new Set(tensors.map(({ block }) => block))];
  const { scope } = report;
  return heatMap({
    title: title ?? `Sparsity of each layer: ${report.name}`,
    ...{ rows, columns, unit: "zeros in % of the layer's weights", xTitle: "block", range: [0, 100] },
    values: rows.map((row) =>
      columns.map((column) => tensors.find(({ kind, block }) => kind === row && block === column)?.percent ?? null),
    ),
    text: (percent) => percent.toFixed(0),
    notes: `n = ${scope.count.toLocaleString("en-US")} weights in scope, ${(100 * scope.sparsity).toFixed(1)} % of them zero; they are ${(100 * report.scopeShare).toFixed(1)} % of the model's ${report.modelCount.toLocaleString("en-US")}`,
    source: source ?? "counted by Prunelab in the pruned checkpoint",
  });
}

/** A measure against sparsity, a line for each series; from block to block, a row of cells for each. */

import {
  axis,
  captionOf,
  escapeText,
  type Figure,
  type FigureText,
  ink,
  makeFigure,
  seriesColors,
  seriesSymbols,
  TEXT_SIZE,
} from "./figure.ts";
import { heatMap } from "./heat-map.ts";

export interface LinePoint {
  readonly x: number;
  readonly value: number;
  /** Ends of the interval. */
  readonly low?: number | null;
  readonly high?: number | null;
}

export interface LineSeries {
  readonly name: string;
  readonly points: readonly LinePoint[];
}

export interface LineFigureOptions extends FigureText {
  readonly series: readonly LineSeries[];
  /** What is measured, with its unit, e.g. `"perplexity (lower is better)"`. */
  readonly unit: string;
  /** A logarithmic axis, for perplexities, which grow without bound. */
  readonly isLogarithmic?: boolean;
  /** The `x` of the points that are labelled with their values, such as the sparsity that was chosen; those at 0 always are. */
  readonly chosen?: number;
  /** A level to judge by, e.g. what guessing gets. */
  readonly level?: { readonly name: string; readonly value: number };
  /** How many of what, and what the intervals are, for the caption. */
  readonly notes?: string;
}

/** A line for each method or task against sparsity, where a point's `x` is the share of zeros in [0, 1). */
export function sweepFigure(options: LineFigureOptions): Figure {
  const { title = "", unit, isLogarithmic = false, chosen, level, notes, source } = options;
  const xTitle = "sparsity (%)";
  /** How far the x axis goes on beyond the points. */
  const margin = 4;
  const series = options.series.map(({ name, points }) => ({
    name,
    points: points.map((point) => ({ ...point, x: 100 * point.x })),
  }));
  const lines = series.map(({ name, points }, index) => {
    const color = seriesColors[index % seriesColors.length];
    return {
      type: "scatter",
      mode: "lines+markers",
      name: escapeText(name),
      x: points.map(({ x }) => x),
      y: points.map(({ value }) => value),
      line: { color, width: 2 },
      marker: { color, size: 8, symbol: seriesSymbols[index % seriesSymbols.length] },
      error_y: {
        type: "data",
        symmetric: false,
        array: points.map(({ value, high }) => (high ?? value) - value),
        arrayminus: points.map(({ value, low }) => value - (low ?? value)),
        ...{ color, thickness: 1.3, width: 4 },
      },
      hovertemplate: `${xTitle} %{x}: %{y:.4~g}<extra>${escapeText(name)}</extra>`,
    };
  });
  const xs = lines.flatMap(({ x }) => x);
  const [least, most] = [Math.min(...xs), Math.max(...xs)];
  const levels = level && {
    ...{ type: "scatter", mode: "lines", name: escapeText(level.name), hoverinfo: "skip" },
    ...{
      x: [least - margin, most + margin],
      y: [level.value, level.value],
      line: { color: ink, dash: "dash", width: 1.5 },
    },
  };
  return makeFigure({
    title,
    caption: captionOf(notes, "Sparsity: zeros in % of the pruned layers' weights", source && `Source: ${source}`),
    data: levels ? [...lines, levels] : lines,
    plotHeight: 300,
    left: 76,
    xTitle,
    yTitle: unit,
    annotations: pointLabels(series, chosen === undefined ? undefined : 100 * chosen, isLogarithmic),
    layout: {
      xaxis: axis({ range: [least - margin, most + margin], zeroline: false }),
      yaxis: axis(isLogarithmic ? { type: "log", ...logTicks(series) } : { rangemode: "tozero" }),
    },
  });
}

/** The value of the dense model, which all series share, and those of the chosen points. */
function pointLabels(series: readonly LineSeries[], chosen: number | undefined, isLogarithmic: boolean): object[] {
  const text = (value: number) =>
    value >= 1000 ? Math.round(value).toLocaleString("en-US") : value.toFixed(value >= 100 ? 0 : 1);
  const label = ({ x, value }: LinePoint, name: string, color: string, isAbove: boolean) => ({
    ...{ text: `<b>${escapeText(name)}${text(value)}</b>`, showarrow: false, font: { color, size: TEXT_SIZE } },
    // Beside the line, which rises or falls through the point.
    ...{
      xref: "x",
      x,
      ...(isAbove === rises && x > 0 ? { xanchor: "right", xshift: -8 } : { xanchor: "left", xshift: 8 }),
    },
    ...{ yref: "y", y: isLogarithmic ? Math.log10(value) : value, yanchor: isAbove ? "bottom" : "top" },
    yshift: isAbove ? 3 : -3,
  });
  const rises = series.some(({ points }) => points.at(-1)!.value > points[0]!.value);
  const dense = series[0]?.points.find(({ x }) => x === 0);
  const highest = (x: number) =>
    Math.max(...series.flatMap(({ points }) => points.filter((p) => p.x === x).map((p) => p.value)));
  return [
    ...(dense ? [label(dense, "dense ", ink, true)] : []),
    ...series.flatMap(({ points }, index) => {
      const point = points.find(({ x }) => Math.abs(x - (chosen ?? Number.NaN)) < 1e-9);
      const color = seriesColors[index % seriesColors.length]!;
      return point ? [label(point, "", color, point.value === highest(point.x))] : [];
    }),
  ];
}

/** From block to block: a row of cells for each series, where a point's `x` is the block's number. */
export function blockFigure({
  title = "",
  series,
  unit,
  isLogarithmic = false,
  notes,
  source,
}: LineFigureOptions): Figure {
  const blocks = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  return heatMap({
    ...{
      title,
      unit,
      isLogarithmic,
      xTitle: "block",
      rows: series.map(({ name }) => name),
      columns: blocks.map(String),
    },
    values: series.map(({ points }) => blocks.map((block) => points.find(({ x }) => x === block)?.value ?? null)),
    ...(notes && { notes }),
    ...(source && { source }),
  });
}

/** 1, 2 and 5 times the powers of ten within the values' range, written out; the powers alone or all multiples where these are too many or too few. */
function logTicks(series: readonly LineSeries[]): object {
  const values = series.flatMap(({ points }) =>
    points.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value]),
  );
  const [least, most] = [Math.min(...values) / 1.15, Math.max(...values) * 1.15];
  const powers = Array.from({ length: 40 }, (_, index) => 10 ** (index - 20));
  const ticks = (steps: readonly number[]) =>
    powers.flatMap((power) => steps.map((step) => step * power)).filter((tick) => tick >= least && tick <= most);
  const few = ticks([1, 2, 5]);
  const tickvals = few.length > 12 ? ticks([1]) : few.length > 2 ? few : ticks([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  // The axis has space for six characters.
  const notation = most < 100_000 ? "standard" : "compact";
  const ticktext = tickvals.map((tick) =>
    tick < 1 ? String(Number(tick.toPrecision(1))) : tick.toLocaleString("en-US", { notation }),
  );
  return { tickmode: "array", tickvals, ticktext, range: [Math.log10(least), Math.log10(most)] };
}

/** A measure along an axis, a line for each series: against sparsity, or from block to block. */
import {
  axis,
  captionOf,
  escapeText,
  type Figure,
  type FigureText,
  faintInk,
  makeFigure,
  seriesColors,
  seriesSymbols,
} from "./figure.ts";

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
  /** A level to judge by, e.g. what guessing gets. */
  readonly level?: { readonly name: string; readonly value: number };
  /** How many of what, and what the intervals are, for the caption. */
  readonly notes?: string;
}

/** A line for each method or task against sparsity, where a point's `x` is the share of zeros in [0, 1). */
export function sweepFigure({ series, ...options }: LineFigureOptions): Figure {
  const inPercent = series.map(({ name, points }) => ({
    name,
    points: points.map((point) => ({ ...point, x: 100 * point.x })),
  }));
  const note = "Sparsity: zeros in % of the pruned layers' weights";
  return lineFigure({ ...options, series: inPercent }, { xTitle: "sparsity (%)", margin: 4, note });
}

/** A line for each series from block to block, where a point's `x` is the block's number. */
export function blockFigure(options: LineFigureOptions): Figure {
  return lineFigure(options, { xTitle: "block", margin: 0.5, note: "" });
}

/** `margin` is how far the x axis goes on beyond the points. */
function lineFigure(
  { title = "", series, unit, isLogarithmic = false, level, notes, source }: LineFigureOptions,
  { xTitle, margin, note }: { readonly xTitle: string; readonly margin: number; readonly note: string },
): Figure {
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
      line: { color: faintInk, dash: "dash", width: 1.5 },
    },
  };
  return makeFigure({
    title,
    caption: captionOf(notes, note, source && `Source: ${source}`),
    data: levels ? [...lines, levels] : lines,
    plotHeight: 300,
    left: 76,
    xTitle,
    yTitle: unit,
    layout: {
      xaxis: axis({ range: [least - margin, most + margin], zeroline: false }),
      yaxis: axis(isLogarithmic ? { type: "log", ...logTicks(series) } : { rangemode: "tozero" }),
    },
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
  // The axis has room for six characters.
  const notation = most < 100_000 ? "standard" : "compact";
  const ticktext = tickvals.map((tick) =>
    tick < 1 ? String(Number(tick.toPrecision(1))) : tick.toLocaleString("en-US", { notation }),
  );
  return { tickmode: "array", tickvals, ticktext, range: [Math.log10(least), Math.log10(most)] };
}

/** A measure against sparsity, a line for each method. */
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

export interface SweepPoint {
  /** Share of zeros in [0, 1). */
  readonly sparsity: number;
  readonly value: number;
  /** Ends of the interval. */
  readonly low?: number;
  readonly high?: number;
}

export interface SweepSeries {
  readonly name: string;
  readonly points: readonly SweepPoint[];
}

export interface SweepFigureOptions extends FigureText {
  readonly series: readonly SweepSeries[];
  /** What is measured, with its unit, e.g. `"perplexity (lower is better)"`. */
  readonly unit: string;
  /** A logarithmic axis, for perplexities, which grow without bound. */
  readonly isLogarithmic?: boolean;
  /** A level to judge by, e.g. what guessing gets. */
  readonly level?: { readonly name: string; readonly value: number };
  /** How many of what, and what the intervals are, for the caption. */
  readonly notes?: string;
}

export function sweepFigure(options: SweepFigureOptions): Figure {
  const { title = "", series, unit, isLogarithmic = false, level, notes, source } = options;
  const lines = series.map(({ name, points }, index) => {
    const color = seriesColors[index % seriesColors.length];
    return {
      type: "scatter",
      mode: "lines+markers",
      name: escapeText(name),
      x: points.map(({ sparsity }) => 100 * sparsity),
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
      hovertemplate: `%{x} %: %{y:.2f}<extra>${escapeText(name)}</extra>`,
    };
  });
  const xs = lines.flatMap(({ x }) => x);
  const [least, most] = [Math.min(...xs), Math.max(...xs)];
  const levels = level && {
    ...{ type: "scatter", mode: "lines", name: escapeText(level.name), hoverinfo: "skip" },
    ...{ x: [least - 4, most + 4], y: [level.value, level.value], line: { color: faintInk, dash: "dash", width: 1.5 } },
  };
  return makeFigure({
    title,
    caption: captionOf(notes, "Sparsity: zeros in % of the pruned layers' weights", source && `Source: ${source}`),
    data: levels ? [...lines, levels] : lines,
    plotHeight: 300,
    left: 76,
    xTitle: "sparsity (%)",
    yTitle: unit,
    layout: {
      xaxis: axis({ range: [least - 4, most + 4], zeroline: false }),
      yaxis: axis(isLogarithmic ? { type: "log", ...logTicks(series) } : { rangemode: "tozero" }),
    },
  });
}

/** 1, 2 and 5 times the powers of ten within the values' range, written out. */
function logTicks(series: readonly SweepSeries[]): object {
  const values = series.flatMap(({ points }) =>
    points.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value]),
  );
  const [least, most] = [Math.min(...values) / 1.15, Math.max(...values) * 1.15];
  const powers = Array.from({ length: 40 }, (_, index) => 10 ** (index - 20));
  const tickvals = powers
    .flatMap((power) => [power, 2 * power, 5 * power])
    .filter((tick) => tick >= least && tick <= most);
  const ticktext = tickvals.map((tick) =>
    tick < 1 ? String(Number(tick.toPrecision(1))) : tick.toLocaleString("en-US"),
  );
  return { tickmode: "array", tickvals, ticktext, range: [Math.log10(least), Math.log10(most)] };
}

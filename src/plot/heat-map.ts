/** Cells of a table, coloured and written by their values. */
import {
  axis,
  captionOf,
  escapeText,
  type Figure,
  type FigureText,
  labelRoom,
  makeFigure,
  TEXT_SIZE,
  wrap,
} from "./figure.ts";

export interface HeatMapOptions extends FigureText {
  /** Labels, from the top. */
  readonly rows: readonly string[];
  /** Labels, from the left. */
  readonly columns: readonly string[];
  /** A row of values for each row; null leaves its cell empty. */
  readonly values: readonly (readonly (number | null)[])[];
  /** What the values are, with their unit, for the caption and the colour bar, e.g. `"zeros (%)"`. */
  readonly unit: string;
  /** How a cell is written; default: as few digits as tell the values apart. */
  readonly text?: (value: number) => string;
  /** The values of the scale's ends; default: the least and the largest. */
  readonly range?: readonly [low: number, high: number];
  /** Colours by the logarithm. */
  readonly isLogarithmic?: boolean;
  /** What the columns are, below them; headers stand above. */
  readonly xTitle?: string;
  /** How many of what, for the caption. */
  readonly notes?: string;
}

/** Light to dark blue, even in lightness. */
const SCALE = ["#f0f6fc", "#cfe3f3", "#9ecae1", "#5ea7d3", "#2b7bba", "#0a549e", "#08306b"] as const;
const WIDTH = 760;

/** A cell for each row and column. */
export function heatMap(options: HeatMapOptions): Figure {
  const { title = "", rows, columns, values, unit, isLogarithmic = false, xTitle = "", notes, source } = options;
  const known = values.flat().filter((value) => value !== null);
  const [low, high] = options.range ?? [Math.min(...known), Math.max(...known)];
  const scaled = (value: number) => (isLogarithmic ? Math.log10(value) : value);
  const share = (value: number) => (high > low ? (scaled(value) - scaled(low)) / (scaled(high) - scaled(low)) : 0.5);
  const text = options.text ?? shortText(known);
  const left = labelRoom(rows);
  const right = 84;
  const cellWidth = (WIDTH - left - right) / columns.length;
  const headers = columns.map((column) => wrap(column, TEXT_SIZE, cellWidth - 8));
  const headerLines = Math.max(1, ...headers.map(({ length }) => length));
  // Texts that are wider than their cells would run into each other.
  const size = Math.max(6, Math.min(TEXT_SIZE, (TEXT_SIZE * (cellWidth - 2)) / widest(known.map(text))));
  return makeFigure({
    title,
    caption: captionOf(`Cells: ${unit}`, notes, source && `Source: ${source}`),
    // Bars as cells: plotly draws its own heat maps on a canvas, which is not there without a browser.
    data: columns.map((column, index) => {
      const own = values.map((row) => row[index] ?? null);
      return {
        ...{ type: "bar", orientation: "h", name: escapeText(column), y: rows },
        x: own.map((value) => (value === null ? null : 0.96)),
        base: rows.map(() => index - 0.48),
        text: own.map((value) => (value === null ? "" : text(value))),
        ...{ textposition: "inside", insidetextanchor: "middle", textangle: 0, constraintext: "none" },
        textfont: { size, color: own.map((value) => (value === null ? "#000000" : readableOn(colorAt(share(value))))) },
        marker: { color: own.map((value) => (value === null ? low : scaled(value))), coloraxis: "coloraxis" },
        customdata: own.map((value) => (value === null ? "" : text(value))),
        hovertemplate: `%{y}<br>${escapeText(column)}: %{customdata}<extra></extra>`,
      };
    }),
    plotHeight: 28 * rows.length,
    left,
    right,
    below: xTitle ? 44 : 20,
    above: 14 * headerLines + 4,
    hasLegend: false,
    xTitle,
    layout: {
      barmode: "overlay",
      bargap: 0.06,
      xaxis: axis({
        ...{ side: "top", showgrid: false, zeroline: false, range: [-0.5, columns.length - 0.5] },
        ...{ tickmode: "array", tickvals: columns.map((_, index) => index) },
        ticktext: headers.map((lines) => lines.map(escapeText).join("<br>")),
        tickangle: 0,
      }),
      yaxis: axis({ autorange: "reversed", showgrid: false, type: "category" }),
      coloraxis: {
        ...{ cmin: scaled(low), cmax: scaled(high) },
        colorscale: SCALE.map((color, index) => [index / (SCALE.length - 1), color]),
        colorbar: colorBar(low, high, isLogarithmic),
      },
    },
  });
}

function colorBar(low: number, high: number, isLogarithmic: boolean): object {
  const common = { thickness: 10, outlinewidth: 0, len: 1, xpad: 8 };
  const middle = isLogarithmic ? Math.sqrt(low * high) : (low + high) / 2;
  const ticks = high > low ? [low, middle, high] : [low];
  const text = shortText(ticks);
  const tickvals = ticks.map((tick) => (isLogarithmic ? Math.log10(tick) : tick));
  return { ...common, tickvals, ticktext: ticks.map(text) };
}

/** As few decimals as the largest value asks for. */
function shortText(values: readonly number[]): (value: number) => string {
  const most = Math.max(0, ...values.map(Math.abs));
  const digits = values.every(Number.isInteger) || most >= 100 ? 0 : most >= 10 ? 1 : 2;
  return (value) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function widest(texts: readonly string[]): number {
  return labelRoom(texts) - labelRoom([]);
}

type Rgb = readonly [red: number, green: number, blue: number];

/** The colour of the scale at a share of its length, as plotly mixes it. */
function colorAt(share: number): Rgb {
  const place = Math.min(1, Math.max(0, share)) * (SCALE.length - 1);
  const index = Math.min(SCALE.length - 2, Math.floor(place));
  const [from, to] = [SCALE[index]!, SCALE[index + 1]!].map(channels) as [Rgb, Rgb];
  return from.map((value, channel) => value + (place - index) * (to[channel]! - value)) as unknown as Rgb;
}

function channels(color: string): Rgb {
  return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16)) as unknown as Rgb;
}

/** Black or white, whichever has more contrast by WCAG 2's luminance: 4.5 : 1 at least on any colour. */
function readableOn(color: Rgb): string {
  const [red, green, blue] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

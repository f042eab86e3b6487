/** Horizontal bars in groups, with intervals, and marks to judge them by. */
import {
  axis,
  captionOf,
  escapeText,
  type Figure,
  type FigureText,
  ink,
  labelRoom,
  makeFigure,
  seriesColors,
  TEXT_SIZE,
} from "./figure.ts";

/** One bar; `value` null leaves its place empty. */
export interface Bar {
  readonly label: string;
  readonly value: number | null;
  /** Ends of its interval; without them it has none. */
  readonly low?: number | null;
  readonly high?: number | null;
  /** How many documents, or whatever `counted` says. */
  readonly n?: number;
}

/** Bars of one colour, or marks of one shape, with a name in the legend. */
export interface BarSeries {
  readonly name: string;
  readonly bars: readonly Bar[];
}

export interface BarFigureOptions extends FigureText {
  readonly series: readonly BarSeries[];
  /** Drawn as marks across the bars, two at most, e.g. what guessing gets. */
  readonly marks?: readonly BarSeries[];
  /** What the bars' length is, with its unit, e.g. `"accuracy (%)"`. */
  readonly unit: string;
  /** What `n` counts; default `"documents"`. */
  readonly counted?: string;
  /** What intervals and marks are, for the caption. */
  readonly notes?: string;
}

/** Between groups of bars, as a share of a row. */
const BAR_GAP = 0.28;

/** Bars of all series in groups by label, in the order in which labels first come; the documents of a row stand below its label. */
export function barFigure(options: BarFigureOptions): Figure {
  const { title = "", series, marks = [], unit, counted = "documents", notes, source } = options;
  const labels = [...new Set([...series, ...marks].flatMap(({ bars }) => bars.map(({ label }) => label)))];
  const all = [...series, ...marks].flatMap(({ bars }) => bars);
  const counts = labels.map((label) => countText(all.filter((bar) => bar.label === label)));
  const most = Math.max(0, ...all.flatMap(({ value, high }) => [value ?? 0, high ?? 0]));
  const isWhole = series.every(({ bars }) => bars.every(({ value }) => value === null || Number.isInteger(value)));
  const isCount = isWhole && most > 100;
  const valueText = (value: number) => (isCount ? value.toLocaleString("en-US") : value.toFixed(1));
  const end = most === 0 ? 1 : 1.04 * most;
  const bars = series.map(({ name, bars }, index) => {
    const values = labels.map((label) => bars.find((bar) => bar.label === label));
    const color = seriesColors[index % seriesColors.length];
    const hasIntervals = bars.some(({ low, high }) => typeof low === "number" && typeof high === "number");
    return {
      type: "bar",
      orientation: "h",
      name: escapeText(name),
      y: labels,
      x: values.map((bar) => bar?.value ?? null),
      // Pale, so that whiskers and marks are seen on it.
      marker: { color, opacity: 0.5 },
      hovertemplate: `%{y}<br>%{x:.2f}<extra>${escapeText(name)}</extra>`,
      ...(hasIntervals && {
        error_x: {
          type: "data",
          symmetric: false,
          array: values.map((bar) => (bar?.high ?? bar?.value ?? 0) - (bar?.value ?? 0)),
          arrayminus: values.map((bar) => (bar?.value ?? 0) - (bar?.low ?? bar?.value ?? 0)),
          ...{ color, thickness: 1.5, width: 4 },
        },
      }),
    };
  });
  const rowHeight = Math.max(34, 17 * series.length + 10);
  // In a column of their own at the right, where no whisker strikes them.
  const values = series.flatMap(({ bars }, index) =>
    bars.flatMap(({ label, value }) => {
      if (value === null) return [];
      const place = (index + 0.5) / series.length - 0.5;
      const color = seriesColors[index % seriesColors.length];
      return {
        ...{ text: valueText(value), showarrow: false, font: { color, size: TEXT_SIZE } },
        ...{ xref: "paper", x: 1, xanchor: "left", xshift: 6 },
        ...{ yref: "y", y: label, yanchor: "middle", yshift: -place * (1 - BAR_GAP) * rowHeight },
      };
    }),
  );
  const points = marks.map(({ name, bars }, index) => ({
    type: "scatter",
    mode: "markers",
    name: escapeText(name),
    y: bars.map(({ label }) => label),
    x: bars.map(({ value }) => value),
    marker:
      index === 0
        ? { symbol: "line-ns-open", size: 12, color: "#009E73", line: { width: 2.5, color: "#009E73" } }
        : { symbol: "diamond", size: 7, color: "#F0E442", line: { width: 1, color: ink } },
    hovertemplate: `%{y}<br>%{x:.2f}<extra>${escapeText(name)}</extra>`,
  }));
  return makeFigure({
    title,
    caption: captionOf(`Bars: ${unit}`, notes, countSummary(all, counted), source && `Source: ${source}`),
    data: [...bars, ...points],
    plotHeight: labels.length * rowHeight,
    right: 16 + labelRoom(values.map(({ text }) => text)),
    annotations: values,
    left: labelRoom(labels),
    xTitle: unit,
    hasLegend: bars.length + points.length > 1,
    layout: {
      barmode: "group",
      bargap: BAR_GAP,
      xaxis: axis({ range: [0, end] }),
      yaxis: axis({
        ...{ type: "category", range: [labels.length - 0.5, -0.5], showgrid: false },
        ...{ tickmode: "array", tickvals: labels },
        ticktext: labels.map((label, index) => {
          const count = counts[index] && `<br><span style="font-size:9px">${counts[index]}</span>`;
          return escapeText(label) + count;
        }),
      }),
    },
  });
}

function countText(bars: readonly Bar[]): string {
  const counts = [...new Set(bars.flatMap(({ n }) => n ?? []))].sort((a, b) => a - b);
  return counts.length === 0 ? "" : `n = ${counts.map((n) => n.toLocaleString("en-US")).join(", ")}`;
}

function countSummary(bars: readonly Bar[], counted: string): string {
  const counts = bars.flatMap(({ n }) => n ?? []);
  if (counts.length === 0) return "";
  const [least, most] = [Math.min(...counts), Math.max(...counts)].map((n) => n.toLocaleString("en-US"));
  return least === most ? `n = ${least} ${counted} a row` : `n: ${counted} of the row, ${least} to ${most}`;
}

/** Horizontal bars in groups, with intervals, and marks to judge them by. */
import {
  axis,
  captionOf,
  escapeText,
  type Figure,
  type FigureText,
  faintInk,
  ink,
  labelRoom,
  makeFigure,
  seriesColors,
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
    const hasIntervals = bars.some(({ low, high }) => typeof low === "number" && typeof high === "number");
    return {
      type: "bar",
      orientation: "h",
      name: escapeText(name),
      y: labels,
      x: values.map((bar) => bar?.value ?? null),
      // At the bar's foot, where intervals do not reach; a bar too short for it has none.
      text: values.map((bar) => (bar && (bar.value ?? 0) > 0.09 * end ? valueText(bar.value!) : "")),
      ...{ textposition: "inside", insidetextanchor: "start", textangle: 0, constraintext: "none" },
      textfont: { color: "#ffffff", size: 11 },
      marker: { color: seriesColors[index % seriesColors.length] },
      hovertemplate: `%{y}<br>%{x:.2f}<extra>${escapeText(name)}</extra>`,
      ...(hasIntervals && {
        error_x: {
          type: "data",
          symmetric: false,
          array: values.map((bar) => (bar?.high ?? bar?.value ?? 0) - (bar?.value ?? 0)),
          arrayminus: values.map((bar) => (bar?.value ?? 0) - (bar?.low ?? bar?.value ?? 0)),
          ...{ color: ink, thickness: 1.3, width: 4 },
        },
      }),
    };
  });
  const points = marks.map(({ name, bars }, index) => ({
    type: "scatter",
    mode: "markers",
    name: escapeText(name),
    y: bars.map(({ label }) => label),
    x: bars.map(({ value }) => value),
    marker:
      index === 0
        ? { symbol: "line-ns-open", size: 12 + 9 * series.length, color: ink, line: { width: 2, color: ink } }
        : { symbol: "diamond", size: 9, color: "#F0E442", line: { width: 1.2, color: ink } },
    hovertemplate: `%{y}<br>%{x:.2f}<extra>${escapeText(name)}</extra>`,
  }));
  return makeFigure({
    title,
    caption: captionOf(`Bars: ${unit}`, notes, countSummary(all, counted), source && `Source: ${source}`),
    data: [...bars, ...points],
    plotHeight: labels.length * Math.max(38, 20 * series.length + 12),
    left: labelRoom(labels),
    xTitle: unit,
    hasLegend: bars.length + points.length > 1,
    layout: {
      barmode: "group",
      bargap: 0.28,
      xaxis: axis({ range: [0, end] }),
      yaxis: axis({
        ...{ type: "category", range: [labels.length - 0.5, -0.5], showgrid: false },
        ...{ tickmode: "array", tickvals: labels },
        ticktext: labels.map((label, index) => {
          const count = counts[index] && `<br><span style="font-size:10px;color:${faintInk}">${counts[index]}</span>`;
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

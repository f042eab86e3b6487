/** A plotly figure with title and caption that shows itself in a notebook: interactive where that is possible, else as a static picture. */

import { drawSvg } from "../base/draw-svg.ts";
import { textWidth } from "../base/font-widths.ts";
import { display } from "../report/display-name.ts";

/** plotly's interactive JSON (https://plotly.com/javascript/reference/), which can be drawn without a browser. */
export interface Figure {
  readonly data: readonly object[];
  readonly layout: Readonly<Record<string, unknown>>;
  /** What is shown, in what units, of how many, from where. */
  readonly caption: string;
  /** The text of a static SVG. */
  svg(): Promise<string>;
  [display](): Promise<Record<string, unknown>>;
}

/** What every figure says of itself. */
export interface FigureText {
  readonly title?: string;
  /** Where the numbers come from, at the end of the caption. */
  readonly source?: string;
}

/** Told apart by colour-blind people, and dark enough on the card (Okabe and Ito, https://jfly.uni-koeln.de/color/). */
export const seriesColors = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D00", "#56B4E9", "#000000"] as const;
/** Differ where colours do not. */
export const seriesSymbols = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star"] as const;
export const ink = "#1f2328";
export const faintInk = "#57606a";

const WIDTH = 760;
const PADDING = 16;
const TITLE_SIZE = 16;
const CAPTION_SIZE = 11;
/** Fonts of other systems are wider than the one that is measured with. */
const SLACK = 1.1;

/** What differs from figure to figure. */
interface FigureParts {
  readonly title: string;
  readonly caption: string;
  readonly data: readonly object[];
  /** Of the space between the axes. */
  readonly plotHeight: number;
  /** Room for the labels left and below, and above between legend and plot, in pixels. */
  readonly left: number;
  readonly below?: number;
  readonly above?: number;
  readonly right?: number;
  readonly hasLegend?: boolean;
  readonly xTitle?: string;
  readonly yTitle?: string;
  readonly layout: Readonly<Record<string, unknown>>;
}

/** A figure on a light card of its own, so that it reads the same in light and in dark themes. Title and caption get the lines they need. */
export function makeFigure({
  title,
  caption,
  data,
  plotHeight,
  left,
  below = 52,
  above = 0,
  right = 24,
  hasLegend = true,
  xTitle = "",
  yTitle = "",
  layout,
}: FigureParts): Figure {
  const titleLines = wrap(`${title}`, TITLE_SIZE * 1.05, WIDTH - 2 * PADDING);
  const captionLines = wrap(caption, CAPTION_SIZE, WIDTH - 2 * PADDING);
  const titleHeight = PADDING + 1.3 * TITLE_SIZE * titleLines.length;
  const top = titleHeight + (hasLegend ? 18 + 19 * legendRows(data) : 14) + above;
  const bottom = below + 1.3 * CAPTION_SIZE * captionLines.length + PADDING;
  const height = Math.round(top + plotHeight + bottom);
  const full = {
    width: WIDTH,
    height,
    margin: { l: left, r: right, t: top, b: bottom, pad: 4 },
    paper_bgcolor: "#ffffff",
    plot_bgcolor: "#ffffff",
    font: { family: "Helvetica, Arial, sans-serif", size: 12, color: ink },
    title: {
      text: `<b>${titleLines.map(escapeText).join("<br>")}</b>`,
      font: { size: TITLE_SIZE },
      ...{ x: PADDING / WIDTH, xref: "container", xanchor: "left" },
      ...{ y: 1 - PADDING / height, yref: "container", yanchor: "top" },
    },
    showlegend: hasLegend,
    legend: {
      ...{ orientation: "h", bgcolor: "rgba(0,0,0,0)" },
      ...{ x: PADDING / WIDTH, xref: "container", xanchor: "left" },
      ...{ y: 1 - (titleHeight + 4) / height, yref: "container", yanchor: "top" },
    },
    annotations: [
      {
        ...{ text: captionLines.map(escapeText).join("<br>"), font: { size: CAPTION_SIZE, color: faintInk } },
        ...{ align: "left", showarrow: false },
        ...{ xref: "paper", x: 0, xanchor: "left", xshift: PADDING - left },
        ...{ yref: "paper", y: 0, yanchor: "top", yshift: -below },
      },
      ...axisTitles(xTitle, yTitle, left),
    ],
    hoverlabel: { align: "left" },
    ...layout,
  };
  return {
    data,
    layout: full,
    caption,
    svg: () => drawSvg({ data, layout: full }),
    async [display]() {
      const bundle = { "application/vnd.plotly.v1+json": { data, layout: full }, "text/plain": `${title}\n${caption}` };
      return { ...bundle, "image/svg+xml": await drawSvg({ data, layout: full }) };
    },
  };
}

/** As texts at fixed places: without a browser plotly cannot see how much room the axes' labels take. */
function axisTitles(x: string, y: string, left: number): object[] {
  const common = { showarrow: false, font: { size: 12 } };
  const below = { xref: "paper", x: 0.5, yref: "paper", y: 0, yanchor: "top", yshift: -26 };
  const beside = { xref: "paper", x: 0, xanchor: "center", xshift: 18 - left, yref: "paper", y: 0.5, textangle: -90 };
  return [
    ...(x ? [{ text: escapeText(x), ...common, ...below }] : []),
    ...(y ? [{ text: escapeText(y), ...common, ...beside }] : []),
  ];
}

/** plotly puts a legend's entries into columns of one width where they do not fit into a row. */
function legendRows(data: readonly object[]): number {
  const widths = data.map((trace) => 50 + SLACK * textWidth(String((trace as { name?: string }).name ?? ""), 12));
  const room = WIDTH - 2 * PADDING;
  if (widths.reduce((sum, width) => sum + width, 0) <= room) return 1;
  return Math.ceil(data.length / Math.max(1, Math.floor(room / Math.max(...widths))));
}

/** An axis with a faint grid. */
export function axis(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const lines = { gridcolor: "#e4e7eb", zerolinecolor: "#8c959f", linecolor: "#8c959f" };
  return { ...lines, ticks: "", fixedrange: true, ...more };
}

/** Room for the longest of some labels beside an axis, in pixels. */
export function labelRoom(labels: readonly string[], size = 12): number {
  return Math.ceil(SLACK * Math.max(0, ...labels.map((label) => textWidth(label, size)))) + PADDING + 12;
}

/** plotly reads a little HTML in texts; none is wanted in names. */
export function escapeText(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** The sentences of a caption; empty ones are left out. */
export function captionOf(...sentences: readonly (string | undefined)[]): string {
  return sentences
    .filter((sentence) => sentence)
    .map((sentence) => (/[.!?]$/.test(sentence!) ? sentence : `${sentence}.`))
    .join(" ");
}

/** Lines no wider than `width`, broken at spaces. */
function wrap(text: string, size: number, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`.trim();
    if (lines.length > 0 && SLACK * textWidth(longer, size) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

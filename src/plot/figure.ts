/** A plotly figure with title and caption that shows itself in a notebook: interactive where that is possible, else as a static picture. */

import { display } from "../base/display-name.ts";
import { drawFigure } from "../base/draw-figure.ts";
import { fontFamily, textWidth } from "../base/font-widths.ts";
import { PrunelabError } from "../errors.ts";

/** plotly's interactive JSON (https://plotly.com/javascript/reference/), which can be drawn without a browser. */
export interface Figure {
  readonly data: readonly object[];
  readonly layout: Readonly<Record<string, unknown>>;
  /** What is shown, in what units, of how many, from where. */
  readonly caption: string;
  /** The text of a static SVG. */
  svg(): Promise<string>;
  /** The bytes of a PNG with twice as many pixels as the figure is wide and high. */
  png(): Promise<Uint8Array>;
  [display](): Promise<Record<string, unknown>>;
}

/** What every figure says of itself. */
export interface FigureText {
  readonly title?: string;
  /** Where the numbers come from, at the end of the caption. */
  readonly source?: string;
}

/** Told apart by colour-blind people (after Okabe and Ito, https://jfly.uni-koeln.de/color/), at least 3 : 1 on white and on the grounds of dark themes. */
export const seriesColors = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D00", "#2F9BD8", "#8A8F98"] as const;
/** Differ where colours do not. */
export const seriesSymbols = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star"] as const;
/** Of all text and lines: more than 4 : 1 on white and on the grounds of dark themes, since figures have none of their own. */
export const ink = "#757a82";
export const grid = "rgba(128,128,128,0.25)";

const WIDTH = 760;
const PADDING = 16;
const TITLE_SIZE = 14;
export const TEXT_SIZE = 11;
const CAPTION_SIZE = 10;
/** Bold letters are wider than those that are measured. */
const BOLD = 1.12;

/** What differs from figure to figure. */
interface FigureParts {
  readonly title: string;
  readonly caption: string;
  readonly data: readonly object[];
  /** Of the space between the axes. */
  readonly plotHeight: number;
  /** Space for the labels left and below, and above between legend and plot, in pixels. */
  readonly left: number;
  readonly below?: number;
  readonly above?: number;
  readonly right?: number;
  readonly hasLegend?: boolean;
  readonly xTitle?: string;
  readonly yTitle?: string;
  readonly layout: Readonly<Record<string, unknown>>;
  /** Texts at places of the plot, beside those that every figure has. */
  readonly annotations?: readonly object[];
}

/** A figure on the page's own ground, in colours that read on light and dark ones. Title and caption get the lines they need. */
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
  annotations = [],
}: FigureParts): Figure {
  const titleLines = wrap(`${title}`, TITLE_SIZE * BOLD, WIDTH - 2 * PADDING);
  const captionLines = wrap(caption, CAPTION_SIZE, WIDTH - 2 * PADDING);
  const titleHeight = PADDING + 1.3 * TITLE_SIZE * titleLines.length;
  const top = titleHeight + (hasLegend ? 18 + 19 * legendRows(data) : 14) + above;
  const bottom = below + 1.3 * CAPTION_SIZE * captionLines.length + PADDING;
  const height = Math.round(top + plotHeight + bottom);
  const full = {
    width: WIDTH,
    height,
    margin: { l: left, r: right, t: top, b: bottom, pad: 4 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: fontFamily, size: TEXT_SIZE, color: ink },
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
        ...{ text: captionLines.map(escapeText).join("<br>"), font: { size: CAPTION_SIZE } },
        ...{ align: "left", showarrow: false },
        ...{ xref: "paper", x: 0, xanchor: "left", xshift: PADDING - left },
        ...{ yref: "paper", y: 0, yanchor: "top", yshift: -below },
      },
      ...axisTitles(xTitle, yTitle, left),
      ...annotations,
    ],
    hoverlabel: { align: "left" },
    ...layout,
  };
  return {
    data,
    layout: full,
    caption,
    svg: async () => (await drawFigure({ data, layout: full })).svg,
    async png() {
      const { png } = await drawFigure({ data, layout: full });
      if (!png) throw new PrunelabError("cannot draw pixels here: @resvg/resvg-js has no binary for it; take the SVG");
      return Buffer.from(png, "base64");
    },
    async [display]() {
      const { svg, png } = await drawFigure({ data, layout: full });
      return {
        "application/vnd.plotly.v1+json": { data, layout: full },
        "text/plain": `${title}\n${caption}`,
        "image/svg+xml": svg,
        ...(png && { "image/png": png }),
      };
    },
  };
}

/** As texts at fixed places: without a browser plotly cannot see how much space the axes' labels take. */
function axisTitles(x: string, y: string, left: number): object[] {
  const common = { showarrow: false };
  const below = { xref: "paper", x: 0.5, yref: "paper", y: 0, yanchor: "top", yshift: -26 };
  const beside = { xref: "paper", x: 0, xanchor: "center", xshift: 18 - left, yref: "paper", y: 0.5, textangle: -90 };
  return [
    ...(x ? [{ text: escapeText(x), ...common, ...below }] : []),
    ...(y ? [{ text: escapeText(y), ...common, ...beside }] : []),
  ];
}

/** plotly puts a legend's entries into columns of one width where they do not fit into a row. */
function legendRows(data: readonly object[]): number {
  const widths = data.map((trace) => 50 + textWidth(String((trace as { name?: string }).name ?? ""), TEXT_SIZE));
  const space = WIDTH - 2 * PADDING;
  if (widths.reduce((sum, width) => sum + width, 0) <= space) return 1;
  return Math.ceil(data.length / Math.max(1, Math.floor(space / Math.max(...widths))));
}

/** An axis with a faint grid. */
export function axis(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const lines = { gridcolor: grid, zerolinecolor: ink, linecolor: ink };
  return { ...lines, ticks: "", fixedrange: true, ...more };
}

/** Space for the longest of some labels beside an axis, in pixels. */
export function labelRoom(labels: readonly string[], size: number = TEXT_SIZE): number {
  return Math.ceil(Math.max(0, ...labels.map((label) => textWidth(label, size)))) + PADDING + 12;
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
export function wrap(text: string, size: number, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`.trim();
    if (lines.length > 0 && textWidth(longer, size) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

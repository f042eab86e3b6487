/** Shows plotly figures: as JSON and as pictures, and interactive by one plotly.js a notebook once a cell has asked for it. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { drawFigure } from "../../src/base/draw-figure.ts";
import { toPlainJson } from "../../src/base/plain-json.ts";
import type { MimeBundle } from "../protocol/worker-channel.ts";

export interface Figure {
  data: object[];
  layout: Record<string, unknown>;
}

const PLOTLY_TYPE = "application/vnd.plotly.v1+json";

export function isFigure(value: object): value is Figure {
  const { data, layout } = value as Partial<Figure>;
  const prototype = Object.getPrototypeOf(value);
  return (
    (prototype === Object.prototype || prototype === null) &&
    Array.isArray(data) &&
    data.length > 0 &&
    data.every(isTrace) &&
    Object.keys(value).every((key) => ["data", "layout", "config", "frames"].includes(key)) &&
    typeof layout === "object" &&
    layout !== null
  );
}

/** Where plotly's traces have their lists of data; rows of a table that has a layout have none there. */
const LISTS = "x y z values labels r theta lat lon locations dimensions cells open close a u".split(" ");
const TYPES_WITHOUT_LISTS = ["indicator", "sankey", "image"];

function isTrace(trace: unknown): boolean {
  if (typeof trace !== "object" || trace === null || Array.isArray(trace)) return false;
  const parts = trace as Record<string, unknown>;
  if (TYPES_WITHOUT_LISTS.includes(String(parts.type))) return true;
  return LISTS.some(
    (key) => Array.isArray(parts[key]) || ArrayBuffer.isView(parts[key]) || (key === "cells" && key in parts),
  );
}

export async function figureBundle({ data, layout }: Figure): Promise<Record<string, unknown>> {
  const title = layout.title as { text?: string } | string | undefined;
  const name = typeof title === "string" ? title : title?.text;
  const plain = `Plotly figure${name ? `: ${name}` : ""}, ${data.length} ${data.length === 1 ? "trace" : "traces"}`;
  // Without colours of its own a figure has none that only a light page shows.
  const themed = { ...themeless, ...layout };
  const bundle = { [PLOTLY_TYPE]: { data, layout }, "text/plain": plain };
  try {
    const { svg, png } = await drawFigure({ data, layout: themed });
    return { ...bundle, "image/svg+xml": svg, ...(png && { "image/png": png }) };
  } catch (error) {
    return { ...bundle, "text/plain": `${plain} (no static picture: ${(error as Error).message})` };
  }
}

/** Reads on light and on dark pages alike. */
const themeless = {
  paper_bgcolor: "rgba(0,0,0,0)",
  plot_bgcolor: "rgba(0,0,0,0)",
  font: { color: "#757a82" },
  xaxis: { gridcolor: "rgba(128,128,128,0.25)" },
  yaxis: { gridcolor: "rgba(128,128,128,0.25)" },
};

let isInteractive = false;

/** Whether figures are interactive from here on; see plotlyHtml. */
export function setInteractive(on: boolean): void {
  isInteractive = on;
}

/** Adds to a figure's bundle its size in pixels and, where asked for, HTML that draws it with the page's plotly.js. */
export function finishFigure({ data, metadata }: MimeBundle): MimeBundle {
  const figure = data[PLOTLY_TYPE] as Figure | undefined;
  if (!figure) return { data, metadata };
  const { width, height } = figure.layout as { width?: number; height?: number };
  // Pictures have twice the pixels.
  const size = width && height && data["image/png"] ? { "image/png": { width, height } } : {};
  const html = isInteractive ? { "text/html": figureHtml(figure, data["image/png"] as string | undefined) } : {};
  return { data: { ...data, ...html }, metadata: { ...metadata, ...size } };
}

/** The picture, and a script that puts the interactive figure in its place as soon as the page has plotly.js; untrusted pages keep the picture. */
function figureHtml(figure: Figure, png: string | undefined): string {
  const { width } = figure.layout as { width?: number };
  const picture = png ? `<img alt="" src="data:image/png;base64,${png}"${width ? ` width="${width}"` : ""}>` : "";
  return `<div>${picture}</div><script>(() => {
const place = document.currentScript.previousElementSibling;
const figure = ${toPlainJson({ data: figure.data, layout: figure.layout }).replaceAll("<", "\\u003c")};
${DRAW}
const wait = () => (window.Plotly ? draw(place, figure) : setTimeout(wait, 200));
wait();
})()</script>`;
}

/** Text is as dark or light as that around the figure, and the ground is the page's. */
const DRAW = `const draw = (place, { data, layout }) => {
  const color = getComputedStyle(place).color, clear = "rgba(0,0,0,0)", grid = { gridcolor: "rgba(128,128,128,0.25)" };
  const themed = { paper_bgcolor: clear, plot_bgcolor: clear, ...layout, font: { ...layout.font, color } };
  for (const axis of ["xaxis", "yaxis"]) themed[axis] = { ...grid, ...layout[axis] };
  place.replaceChildren();
  Plotly.newPlot(place, data, themed, { responsive: !layout.width, displaylogo: false });
};`;

/** plotly.js itself, some 4.5 MB, for the figures of a whole notebook; needs no network. */
export function plotlyHtml(): string {
  const path = createRequire(import.meta.url).resolve("plotly.js-dist-min");
  return `<script>if (!window.Plotly) { const define = undefined, module = undefined, exports = undefined; ${readFileSync(path, "utf8")} }</script><small>Figures below are interactive.</small>`;
}

/** One figure with plotly.js, as a page of its own that needs no network. */
export function interactiveHtml({ data, layout }: Figure): string {
  return plotlyHtml().replace(/<small>.*$/, "") + figureHtml({ data, layout }, undefined);
}

/** The thread that draws plotly figures, with plotly.js in jsdom instead of a browser and resvg for pixels; draw-figure.ts starts it by its file. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parentPort } from "node:worker_threads";
import type { Picture } from "./draw-figure.ts";
import { fontFamily, textWidth } from "./font-widths.ts";

/** What comes back for a message `{ id, figure }`, the figure as JSON. */
type PlotReply = { id: number; picture?: Picture; failure?: string };

/** The little of the DOM that is used here; the published types of jsdom would bring a browser's globals into the project. */
interface Element {
  textContent: string | null;
  parentElement: Element | null;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Element>;
  getBoundingClientRect(): object;
  append(child: Element): void;
  remove(): void;
}

interface Window {
  Math: { random: () => number };
  URL: object;
  SVGElement: { prototype: object };
  Element: { prototype: Element };
  document: { body: Element; createElement(name: string): Element };
  eval(code: string): unknown;
}

interface Jsdom {
  JSDOM: new (html: string, options: object) => { window: Window };
  VirtualConsole: new () => object;
}

const requireHere = createRequire(import.meta.url);
const WIDTH = 700;
const HEIGHT = 450;

interface Layout {
  width?: number;
  height?: number;
  font?: object;
}

interface Plotly {
  newPlot(place: unknown, data: unknown, layout: unknown, config: unknown): Promise<unknown>;
  toImage(plot: unknown, options: object): Promise<string>;
  purge(place: unknown): void;
}

const resvg = loadResvg();
const fontFiles = findFonts();
const window = createWindow();
const plotly = loadPlotly();

function createWindow(): Window {
  const { JSDOM, VirtualConsole } = requireHere("jsdom") as Jsdom;
  const { window } = new JSDOM("<!doctype html><body></body>", {
    runScripts: "outside-only",
    pretendToBeVisual: true,
    virtualConsole: new VirtualConsole(),
  });
  // What plotly needs and jsdom lacks.
  Object.assign(window, { TextDecoder, TextEncoder });
  Object.assign(window.URL, { createObjectURL: () => "", revokeObjectURL: () => {} });
  const box = function (this: Element) {
    const { width, height, left, top } = textBox(this);
    return { x: left, y: top, width, height, left, top, right: left + width, bottom: top + height };
  };
  Object.assign(window.SVGElement.prototype, {
    getBBox: box,
    getComputedTextLength(this: Element) {
      return textBox(this).width;
    },
  });
  const plain = window.Element.prototype.getBoundingClientRect;
  Object.assign(window.SVGElement.prototype, {
    getBoundingClientRect(this: Element) {
      return this.textContent ? box.call(this) : plain.call(this);
    },
  });
  return window;
}

/** Lines of a text stand in `tspan.line` elements below each other. */
function textBox(element: Element): { width: number; height: number; left: number; top: number } {
  const style = /font-size:\s*([\d.]+)px/.exec(
    element.getAttribute("style") ?? element.parentElement?.getAttribute("style") ?? "",
  );
  const size = Number(style?.[1] ?? element.getAttribute("font-size") ?? 12) || 12;
  const lines = [...element.querySelectorAll("tspan.line")].map((line) => line.textContent ?? "");
  const texts = lines.length > 0 ? lines : [element.textContent ?? ""];
  const width = Math.max(...texts.map((text) => textWidth(text, size)));
  // Of these plotly asks where they lie around their origin; axes' labels must not seem to leave the page, or it hides them.
  const isPlaced = /\b(bartext|annotation-text)\b/.test(element.getAttribute("class") ?? "");
  const left = isPlaced && element.getAttribute("text-anchor") === "middle" ? -width / 2 : 0;
  return { width, height: 1.25 * size * texts.length, left, top: isPlaced ? -size : 0 };
}

function loadPlotly(): Plotly {
  const path = requireHere.resolve("plotly.js-dist-min");
  window.eval(readFileSync(path, "utf8"));
  return (window as unknown as { Plotly: Plotly }).Plotly;
}

/** plotly names parts at random; from the figure itself, so that it gives the same text again, and other names than another one on the page. */
function seedNames(text: string): void {
  let state = Number.parseInt(createHash("sha256").update(text).digest("hex").slice(0, 8), 16);
  window.Math.random = () => {
    // Numerical Recipes' generator; two neighbours of its sequence need not look independent here.
    state = (Math.imul(1_664_525, state) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function draw(text: string): Promise<Picture> {
  seedNames(text);
  const { data, layout } = JSON.parse(text) as { data: unknown; layout: Layout };
  const { width = WIDTH, height = HEIGHT } = layout;
  const font = { family: fontFamily, ...layout.font };
  const place = window.document.createElement("div");
  window.document.body.append(place);
  try {
    const plot = await plotly.newPlot(place, data, { ...layout, font, width, height }, { staticPlot: true });
    const svg = await plotly.toImage(plot, { format: "svg", width, height, imageDataOnly: true });
    const png = drawPixels(svg);
    return { svg, ...(png && { png }) };
  } finally {
    plotly.purge(place);
    place.remove();
  }
}

/** Of the figure's pixels, so that it is sharp on screens of twice as many. */
const ZOOM = 2;

/** In base64, on a transparent ground, with the package's own fonts, so that it is the same on every machine. */
function drawPixels(svg: string): string | undefined {
  const { Resvg } = resvg ?? {};
  if (!Resvg) return undefined;
  const image = new Resvg(svg, {
    fitTo: { mode: "zoom", value: ZOOM },
    font: { loadSystemFonts: false, fontFiles, defaultFontFamily: "DejaVu Sans", sansSerifFamily: "DejaVu Sans" },
  });
  return image.render().asPng().toString("base64");
}

function loadResvg(): typeof import("@resvg/resvg-js") | undefined {
  try {
    return requireHere("@resvg/resvg-js") as typeof import("@resvg/resvg-js");
  } catch {
    // A system that it has no binary for; the SVG is there.
    return undefined;
  }
}

function findFonts(): string[] {
  const folder = join(dirname(requireHere.resolve("dejavu-fonts-ttf/package.json")), "ttf");
  return ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"].map((name) => join(folder, name)).filter(existsSync);
}

parentPort?.on("message", ({ id, figure }: { id: number; figure: string }) => {
  draw(figure).then(
    (picture) => parentPort?.postMessage({ id, picture } satisfies PlotReply),
    (error: Error) => parentPort?.postMessage({ id, failure: error.message } satisfies PlotReply),
  );
});

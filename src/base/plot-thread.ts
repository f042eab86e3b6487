/** The thread that draws plotly figures as SVG, with plotly.js in jsdom instead of a browser; the kernel and the library start it by its file. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parentPort } from "node:worker_threads";
import { textWidth } from "./font-widths.ts";

/** What comes back for a message `{ id, figure }`, the figure as JSON. */
type PlotReply = { id: number; svg?: string; failure?: string };

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

interface Plotly {
  newPlot(place: unknown, data: unknown, layout: unknown, config: unknown): Promise<unknown>;
  toImage(plot: unknown, options: object): Promise<string>;
  purge(place: unknown): void;
}

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

async function draw(text: string): Promise<string> {
  seedNames(text);
  const { data, layout } = JSON.parse(text) as { data: unknown; layout: { width?: number; height?: number } };
  const { width = WIDTH, height = HEIGHT } = layout;
  const place = window.document.createElement("div");
  window.document.body.append(place);
  try {
    const plot = await plotly.newPlot(place, data, { ...layout, width, height }, { staticPlot: true });
    return await plotly.toImage(plot, { format: "svg", width, height, imageDataOnly: true });
  } finally {
    plotly.purge(place);
    place.remove();
  }
}

parentPort?.on("message", ({ id, figure }: { id: number; figure: string }) => {
  draw(figure).then(
    (svg) => parentPort?.postMessage({ id, svg } satisfies PlotReply),
    (error: Error) => parentPort?.postMessage({ id, failure: error.message } satisfies PlotReply),
  );
});

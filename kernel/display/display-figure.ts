/** Shows plotly figures: the interactive JSON for front ends that draw it, a static SVG for all others. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { builtFile } from "../../src/base/package-root.ts";
import { toPlainJson } from "./plain-json.ts";

export interface Figure {
  data: object[];
  layout: Record<string, unknown>;
}

/** As src/base/plot-thread.ts answers, which only runs by its file. */
type PlotReply = { id: number; svg?: string; failure?: string };

/** How long the thread that draws waits for another figure; it holds some 150 MB. */
const IDLE_MS = 20_000;

export function isFigure(value: object): value is Figure {
  const { data, layout } = value as Partial<Figure>;
  const prototype = Object.getPrototypeOf(value);
  return (
    (prototype === Object.prototype || prototype === null) &&
    Array.isArray(data) &&
    data.every((trace) => typeof trace === "object" && trace !== null) &&
    typeof layout === "object" &&
    layout !== null
  );
}

export async function figureBundle(figure: Figure): Promise<Record<string, unknown>> {
  const { data, layout } = figure;
  const title = layout.title as { text?: string } | string | undefined;
  const name = typeof title === "string" ? title : title?.text;
  const plain = `Plotly figure${name ? `: ${name}` : ""}, ${data.length} ${data.length === 1 ? "trace" : "traces"}`;
  const bundle = { "application/vnd.plotly.v1+json": { data, layout }, "text/plain": plain };
  try {
    return { ...bundle, "image/svg+xml": await drawSvg(figure) };
  } catch (error) {
    return { ...bundle, "text/plain": `${plain} (no static picture: ${(error as Error).message})` };
  }
}

/** The figure with plotly.js itself, some 4 MB, as a page that needs no network. */
export function interactiveHtml({ data, layout }: Figure): string {
  const path = createRequire(import.meta.url).resolve("plotly.js-dist-min");
  const json = toPlainJson({ data, layout }).replaceAll("<", "\\u003c");
  return `<div></div><script>(() => {
const place = document.currentScript.previousElementSibling;
if (!window.Plotly) { const define = undefined, module = undefined, exports = undefined; ${readFileSync(path, "utf8")} }
const figure = ${json};
Plotly.newPlot(place, figure.data, figure.layout, { responsive: true });
})()</script>`;
}

let thread: Worker | undefined;
let idle: NodeJS.Timeout | undefined;
let count = 0;
let pending = 0;

/** Drawn in a thread of its own, so that its memory can be given back. */
async function drawSvg(figure: Figure): Promise<string> {
  // As JSON, since a figure may hold functions and values of classes, which plotly ignores.
  const text = toPlainJson(figure);
  clearTimeout(idle);
  const worker = thread ?? startThread();
  const id = ++count;
  pending++;
  return new Promise((resolve, reject) => {
    const end = () => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      worker.off("exit", onExit);
      if (--pending === 0) idle = setTimeout(() => void worker.terminate(), IDLE_MS).unref();
    };
    const onMessage = (reply: PlotReply) => {
      if (reply.id !== id) return;
      end();
      if (reply.svg === undefined) reject(new Error(reply.failure));
      else resolve(reply.svg);
    };
    const onError = (error: Error) => {
      end();
      reject(error);
    };
    const onExit = () => onError(new Error("the thread that draws figures has ended; show it again"));
    worker.on("message", onMessage);
    worker.on("error", onError);
    worker.on("exit", onExit);
    worker.postMessage({ id, figure: text });
  });
}

function startThread(): Worker {
  const worker = new Worker(builtFile("src/base/plot-thread.js"), { execArgv: [], stdout: true, stderr: true });
  worker.on("exit", () => {
    if (thread === worker) thread = undefined;
  });
  worker.setMaxListeners(0);
  worker.unref();
  thread = worker;
  return worker;
}

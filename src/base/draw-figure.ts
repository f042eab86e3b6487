/** Draws plotly figures without a browser, as SVG and as PNG, in the one thread that plot-thread.ts is; for the library and the kernel. */
import { Worker } from "node:worker_threads";
import { builtFile } from "./package-root.ts";
import { toPlainJson } from "./plain-json.ts";

/** A figure as pictures. */
export interface Picture {
  readonly svg: string;
  /** In base64, twice as many pixels as the figure is wide and high; absent if this machine has no program to draw it. */
  readonly png?: string;
}

/** As the thread answers, which only runs by its file. */
type PlotReply = { id: number; picture?: Picture; failure?: string };

/** How long the thread waits for another figure; it holds some 150 MB, and takes a second to start. */
const IDLE_MS = 20_000;

let thread: Worker | undefined;
let idle: NodeJS.Timeout | undefined;
let count = 0;
let pending = 0;

/** Draws a figure (plotly's `data` and `layout`); rejects if plotly cannot draw it. */
export function drawFigure(figure: { readonly data: unknown; readonly layout: unknown }): Promise<Picture> {
  // As JSON, since a figure may hold functions and values of classes, which plotly ignores.
  const text = toPlainJson(figure);
  clearTimeout(idle);
  const worker = thread ?? startThread();
  const id = ++count;
  pending++;
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      worker.off("exit", onExit);
      if (--pending === 0) {
        idle = setTimeout(() => void worker.terminate(), IDLE_MS).unref();
        worker.unref();
      }
      settle();
    };
    const onMessage = ({ id: answered, picture, failure }: PlotReply) => {
      if (answered !== id) return;
      end(() => (picture === undefined ? reject(new Error(failure)) : resolve(picture)));
    };
    const onError = (error: Error) => end(() => reject(error));
    const onExit = () => end(() => reject(new Error("the thread that draws figures has ended; draw it again")));
    worker.on("message", onMessage);
    worker.on("error", onError);
    worker.on("exit", onExit);
    // A script that waits for its figure must not end before it is there.
    worker.ref();
    worker.postMessage({ id, figure: text });
  });
}

/** Starts the thread ahead of the first figure, so that its seconds pass beside other work. */
export function startDrawing(): void {
  if (!thread) startThread().unref();
}

function startThread(): Worker {
  // The build's file, also under tsx and in tests.
  const worker = new Worker(builtFile("src/base/plot-thread.js"), { execArgv: [], stdout: true, stderr: true });
  worker.on("exit", () => {
    if (thread === worker) thread = undefined;
  });
  worker.setMaxListeners(0);
  thread = worker;
  return worker;
}

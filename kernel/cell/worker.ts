/** The process of the cells: runs what the kernel sends, one cell at a time, and reports what comes of it. */
import { Socket } from "node:net";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { builtFile } from "../../src/base/package-root.ts";
import { createCallProgress } from "../display/call-progress.ts";
import { createComms } from "../display/comms.ts";
import { toBundle, toText } from "../display/display.ts";
import { createDisplayApi, type Publish } from "../display/display-api.ts";
import { html, md, svg } from "../display/markup.ts";
import { ownerId, runAs } from "../display/owner.ts";
import { createProgress } from "../display/progress.ts";
import { installStacks, rememberScript } from "../display/stack.ts";
import { describeError } from "../display/traceback.ts";
import { createWidgets } from "../display/widgets.ts";
import {
  type ExpressionResult,
  type FromWorker,
  type Outcome,
  onJsonLines,
  outputMark,
  STATE,
  type ToMain,
  type ToWorker,
  WORKER_FD,
  writeFully,
} from "../protocol/worker-channel.ts";
import type { CellGlobals } from "./cell-globals.ts";
import { createCellModules } from "./cell-modules.ts";
import { installCellStreams } from "./cell-streams.ts";
import {
  engineHooks,
  evaluate,
  failRunning,
  interrupt,
  interruptedSignal,
  KeyboardInterrupt,
  shared,
} from "./engine.ts";
import { createStdin } from "./stdin.ts";
import { termination, watchNativeCode } from "./termination.ts";
import { createTslab } from "./tslab.ts";

const send = (message: FromWorker) => writeFully(WORKER_FD.out, `${JSON.stringify(message)}\n`);
const mark = outputMark(process.argv[2] ?? "");
const notebook = join(process.cwd(), process.env.JPY_SESSION_NAME?.split("/").pop() || "notebook.ipynb");

installStacks();
installCellStreams((id, name, text) => send({ type: "stream", id, name, text }));
watchNativeCode();

const publish: Publish = (id, messageType, content) => send({ type: "publish", id, messageType, content });
const shown = createDisplayApi(publish);
const calls = createCallProgress(publish);
const stdin = createStdin((id, prompt, password) => send({ type: "input", id, prompt, password }));
const comms = createComms((id, messageType, content, buffers, metadata = {}) =>
  send({ type: "publish", id, messageType, content: { ...content }, buffers, metadata }),
);
const widgets = createWidgets((target, data, metadata) => comms.api.open(target, data, [], metadata));
const { display, clearOutput } = shown;
const modules = createCellModules(notebook, { tslab: createTslab(shown) });

/** A value's bundle as JSON, for the debugger; at once, so without pictures that take time to draw. */
const bundleText = (value: unknown): string => {
  const bundle = toBundle(value);
  return JSON.stringify(bundle instanceof Promise ? { data: { "text/plain": toText(value) }, metadata: {} } : bundle);
};
const { import: importModule, imports, meta } = modules;
const hidden = { ...engineHooks, ...termination, bundleText, import: importModule, imports, meta };
// How the library finds who shows the progress of its calls; it does not know the kernel.
Object.defineProperty(globalThis, Symbol.for("prunelab.progress"), { value: calls });
Object.defineProperty(globalThis, "__prunelab", { value: Object.freeze(hidden) });
const globals: Omit<CellGlobals, "interrupted"> = {
  display,
  clearOutput,
  html,
  md,
  svg,
  progress: createProgress(display),
  comms: comms.api,
  ...widgets,
  ...stdin,
};
const { filename: __filename, dirname: __dirname } = modules.meta;
Object.assign(globalThis, globals, { require: modules.require, __filename, __dirname });
Object.defineProperty(globalThis, "interrupted", { get: interruptedSignal, configurable: true, enumerable: false });
Object.defineProperty(globalThis, Symbol.for("prunelab.interrupted"), { value: interruptedSignal });
process.argv = [process.execPath, notebook];

// The kernel sends it to the children of a cell, and so to this process; control-thread.ts stops the cell itself.
process.on("SIGINT", () => {});
process.on("unhandledRejection", reportAsync);
process.on("uncaughtException", reportAsync);
// Without them an error would end the process, with all variables.
process.on("removeListener", (event, listener) => {
  if (listener === reportAsync) process.on(event as "uncaughtException", reportAsync);
});
process.on("exit", (code) => send({ type: "exit", code }));

/** An interval that fails would fill the notebook. */
const MAX_REPEATS = 10;
const MAX_REMEMBERED = 100;
const lateErrors = new Map<string, number>();

/** An error that no cell awaited: it fails the running cell if that one started it, else it shows where it began. */
function reportAsync(error: unknown): void {
  // The work of a stopped cell ends by it.
  if (error instanceof KeyboardInterrupt) return;
  const id = ownerId();
  if (failRunning(id, error)) return;
  const described = describeError(error);
  const key = `${id} ${described.value}`;
  const count = lateErrors.get(key) ?? 0;
  if (lateErrors.size > MAX_REMEMBERED) lateErrors.clear();
  lateErrors.set(key, count + 1);
  if (count < MAX_REPEATS) send({ type: "late-error", id, error: described });
}

const control = new Worker(builtFile("kernel/cell/control-thread.js"), {
  workerData: { parent: process.ppid, shared },
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 },
});
control.on("message", (message: ToMain) => {
  if (message.type === "interrupt") interrupt(message.id);
  else Atomics.store(shared, STATE.answered, message.count);
});
control.unref();

async function execute({ id, script, expressions }: Extract<ToWorker, { type: "execute" }>): Promise<Outcome> {
  rememberScript(script);
  const completion = await evaluate(id, script.code);
  await shown.settled(id);
  calls.end(id, completion.ok);
  if (!completion.ok) return { status: "error", error: describeError(completion.error) };
  const results: Record<string, ExpressionResult> = {};
  for (const [name, expression] of Object.entries(expressions)) {
    rememberScript(expression);
    const value = await evaluate(id, expression.code);
    results[name] = value.ok
      ? { status: "ok", ...(await runAs(id, () => toBundle(value.result))) }
      : { status: "error", ...describeError(value.error) };
  }
  const { hasResult, result } = completion;
  if (!hasResult || result === undefined) return { status: "ok", expressions: results };
  return { status: "ok", result: await runAs(id, () => toBundle(result)), expressions: results };
}

const input = new Socket({ fd: WORKER_FD.in, readable: true, writable: false });
onJsonLines<ToWorker>(input, (message) => {
  if (message.type === "execute") {
    const failed = (error: unknown): Outcome => ({ status: "error", error: describeError(error) });
    void execute(message)
      .catch(failed)
      .then((outcome) => {
        // What native code and child processes wrote comes before these marks, and so belongs to this cell.
        for (const fd of [1, 2]) writeFully(fd, mark);
        send({ type: "done", id: message.id, outcome });
      });
  } else {
    try {
      comms.receive(message);
    } catch (error) {
      runAs(message.id, () => reportAsync(error));
    }
  }
});
input.on("close", () => process.exit(0));
send({ type: "ready" });

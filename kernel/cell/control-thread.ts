/** A thread of the process of the cells that hears the kernel even while a cell never yields: it stops cells. */
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import {
  type FromControl,
  onJsonLines,
  STATE,
  type ToControl,
  type ToMain,
  WORKER_FD,
  writeFully,
} from "../protocol/worker-channel.ts";
import { connectToMain, type MainSession, terminateMain } from "./stop.ts";

const { parent, shared } = workerData as { parent: number; shared: Int32Array };
const PARENT_INTERVAL_MS = 1000;
/** An event loop that does not answer by then is stuck in code that never yields, or in native code. */
const ANSWER_MS = 250;

let asked = 0;
let stopping = false;

const tellMain = (message: ToMain) => parentPort?.postMessage(message);
const tellKernel = (message: FromControl): void => writeFully(WORKER_FD.controlOut, `${JSON.stringify(message)}\n`);

// Dies with the kernel even while a cell never yields: a killed kernel cannot say goodbye.
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGKILL");
}, PARENT_INTERVAL_MS);

/** Whether the main thread's event loop turns. */
async function answers(): Promise<boolean> {
  const count = ++asked;
  tellMain({ type: "ping", count });
  for (let waited = 0; waited < ANSWER_MS; waited += 5) {
    if (Atomics.load(shared, STATE.answered) >= count) return true;
    await delay(5);
  }
  return false;
}

async function stop(id: string): Promise<void> {
  Atomics.store(shared, STATE.interrupted, 1);
  tellMain({ type: "interrupt", id });
  if (stopping) return;
  stopping = true;
  while (!(await answers())) {
    const count = ++asked;
    tellMain({ type: "ping", count });
    await terminateMain(id, () => Atomics.load(shared, STATE.answered) >= count);
  }
  stopping = false;
}

let inspector: MainSession | undefined;

/** One session, from the debugger's first question on. */
function connectInspector(): MainSession {
  const session = connectToMain();
  const urls = new Map<string, string>();
  session.on("Debugger.scriptParsed", ({ params }: { params: { scriptId: string; url: string } }) => {
    urls.set(params.scriptId, params.url);
  });
  session.on("Debugger.paused", ({ params }: { params: { callFrames: { location: { scriptId: string } }[] } }) => {
    const callFrames = params.callFrames.map((frame) => ({ ...frame, url: urls.get(frame.location.scriptId) ?? "" }));
    tellKernel({ type: "inspector-event", method: "Debugger.paused", params: { ...params, callFrames } });
  });
  session.on("Debugger.resumed", () => tellKernel({ type: "inspector-event", method: "Debugger.resumed", params: {} }));
  return session;
}

function inspect({ count, method, params }: Extract<ToControl, { type: "inspect" }>): void {
  inspector ??= connectInspector();
  inspector.post<Record<string, unknown>>(method, params).then(
    (reply) => tellKernel({ type: "inspected", count, reply }),
    (error: Error) => tellKernel({ type: "inspected", count, failure: error.message }),
  );
  if (method === "Debugger.disable") {
    inspector.close();
    inspector = undefined;
    tellKernel({ type: "inspected", count, reply: {} });
  }
}

const input = new Socket({ fd: WORKER_FD.control, readable: true, writable: false });
onJsonLines<ToControl>(input, (message) => {
  if (message.type === "interrupt") void stop(message.id);
  else inspect(message);
});

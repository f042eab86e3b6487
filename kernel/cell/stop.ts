/** In the control thread: ends code that never yields, where JavaScript stands on top and never under a native call. */
import { type Debugger, Session } from "node:inspector";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";

/** The part of V8's debugger that is asked; the types of Node's inspector differ from version to version. */
export interface MainSession {
  post<Reply>(method: string, params?: object): Promise<Reply>;
  on(event: string, listener: (message: { params: never }) => void): void;
  close(): void;
}

type CallFrame = Debugger.CallFrame;

interface Frame {
  id: string;
  name: string;
  url: string;
}

/** How long to wait for the main thread to pause, and for a step to end in the user's code: a full pipe takes a while to empty. */
const PAUSE_WAIT_MS = 300;
const STEP_WAIT_MS = 2000;
/** Between two attempts, while native code works or what was terminated goes on. */
const RETRY_MS = 30;
const kernelFolder = new URL("../", import.meta.url).href;

/** A debugger's session on the main thread. */
export function connectToMain(): MainSession {
  const session = new Session();
  session.connectToMainThread();
  const untyped = session as unknown as {
    post(method: string, params: object, done: (error: Error | null, reply: never) => void): void;
    on(event: string, listener: (message: { params: never }) => void): void;
  };
  return {
    post: (method, params = {}) =>
      new Promise((resolve, reject) =>
        untyped.post(method, params, (error, reply) => (error ? reject(error) : resolve(reply))),
      ),
    on: (event, listener) => untyped.on(event, listener),
    close: () => session.disconnect(),
  };
}

/** Terminates what runs of a cell on the main thread, again and again, until `isAlive` says that its event loop turns. */
export async function terminateMain(cell: string, isAlive: () => boolean): Promise<void> {
  const main = connectToMain();
  const urls = new Map<string, string>();
  let paused: Frame[] | undefined;
  main.on("Debugger.scriptParsed", ({ params }: { params: { scriptId: string; url: string } }) => {
    urls.set(params.scriptId, params.url);
  });
  main.on("Debugger.paused", ({ params }: { params: { callFrames: CallFrame[] } }) => {
    paused = params.callFrames.map(({ callFrameId, functionName, location }) => {
      return { id: callFrameId, name: functionName, url: urls.get(location.scriptId) ?? "" };
    });
  });
  main.on("Debugger.resumed", () => {
    paused = undefined;
  });

  /** Asks, and waits until the main thread has stopped; it does so at its next check of the stack. */
  async function pauseBy(command: string, waitMs: number): Promise<Frame[] | undefined> {
    if (command !== "Debugger.pause") paused = undefined;
    void main.post(command).catch(() => {});
    for (let waited = 0; !paused && waited < waitMs && !isAlive(); waited += 5) await delay(5);
    return paused;
  }

  async function attempt(): Promise<void> {
    let frames = await pauseBy("Debugger.pause", PAUSE_WAIT_MS);
    if (!frames) return;
    const { result } = await main.post<{ result: { value?: string[] } }>("Runtime.evaluate", {
      expression: `__prunelab.nativeFolders(${JSON.stringify(cell)})`,
      returnByValue: true,
    });
    // What runs may be of another cell by now.
    if (isAlive() || !result.value) return void (await main.post("Debugger.resume"));
    const folders = result.value.map((folder) => `${pathToFileURL(folder).href}/`);
    const isInNative = ({ url }: Frame) =>
      folders.some((folder) => url.startsWith(folder) || `file://${url}`.startsWith(folder));
    const isSafe = (all: readonly Frame[]) => !all.some(isInNative) && !all.some(isPromiseHook);
    const ticks = frames.find(({ name, url }) => name === "processTicksAndRejections" && url.startsWith("node:"));
    if (ticks && isSafe(frames)) {
      // A tick that queues itself again would survive its own termination.
      const expression = "__prunelab.dropTicks(queue)";
      await main.post("Debugger.evaluateOnCallFrame", { callFrameId: ticks.id, expression, silent: true });
      if (frames.some(isOfUser) && !frames.some(isOfKernel)) return terminate(frames);
    }
    // Node's own code and the kernel's, such as that which writes a line, come to their end first.
    if (!frames.some(isInNative) && !isOfUser(frames[0] as Frame) && (ticks || frames.some(isOfUser))) {
      frames = (await pauseBy("Debugger.stepInto", STEP_WAIT_MS)) ?? (await pauseBy("Debugger.pause", PAUSE_WAIT_MS));
    }
    if (!frames) return;
    if (isSafe(frames) && frames.some(isOfUser) && !above(frames).some(isMidway)) await terminate(frames);
    else await main.post("Debugger.resume");
  }

  async function terminate(frames: readonly Frame[]): Promise<void> {
    const immediate = frames.find(({ name, url }) => name === "processImmediate" && url === "node:internal/timers");
    if (immediate) {
      const expression = "__prunelab.requeue(immediate)";
      await main.post("Debugger.evaluateOnCallFrame", { callFrameId: immediate.id, expression, silent: true });
    }
    await main.post("Runtime.evaluate", { expression: "__prunelab.unwind()", silent: true });
    // Answered once it has happened.
    main.post("Runtime.terminateExecution").catch(() => {});
    await main.post("Debugger.resume");
  }

  try {
    let enabled = false;
    // While native code works there is no answer, and none is needed if the event loop turns afterwards.
    void main
      .post("Debugger.enable")
      .then(() =>
        main.post("Debugger.setBlackboxPatterns", {
          patterns: ["^node:", `^${kernelFolder.replace(/[.+?^$()[\]{}|\\]/g, "\\$&")}`],
        }),
      )
      .then(() => {
        enabled = true;
      });
    for (; !isAlive(); await delay(RETRY_MS)) if (enabled) await attempt();
  } finally {
    if (paused) main.post("Debugger.resume").catch(() => {});
    main.post("Debugger.disable").catch(() => {});
    main.close();
  }
}

/** What the user's code has called. */
function above(frames: readonly Frame[]): Frame[] {
  return frames.slice(0, frames.findIndex(isOfUser));
}

/** Code of the kernel's or of Node's streams, which would stay in the middle of what it does. */
function isMidway(frame: Frame): boolean {
  return isOfKernel(frame) || /^node:(internal\/(streams|fs|webstreams)|net$|fs$|stream)/.test(frame.url);
}

/** V8 calls these, and goes on when they are terminated. */
function isPromiseHook({ name, url }: Frame): boolean {
  return url === "node:internal/async_hooks" && /^promise\w*Hook/.test(name);
}

function isOfKernel({ url }: Frame): boolean {
  return url.startsWith(kernelFolder);
}

function isOfUser(frame: Frame): boolean {
  return !frame.url.startsWith("node:") && !isOfKernel(frame);
}

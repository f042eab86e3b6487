/** Runs an exported function of a WebAssembly module on several threads that share its memory. */
import { MessageChannel, Worker } from "node:worker_threads";

/** A function of the module, called once per thread with that thread's arguments. */
export interface ThreadedCall {
  readonly module: WebAssembly.Module;
  /** Imported by the module as `env.memory`; must be shared where there are several threads. */
  readonly memory: WebAssembly.Memory;
  readonly name: string;
}

// A string, since a worker's own file would have to be found both as source under tsx and as built JavaScript.
const workerSource = `
require("node:worker_threads").parentPort.on("message", ({ port, module, memory, name, parameters }) => {
  try {
    new WebAssembly.Instance(module, { env: { memory } }).exports[name](...parameters);
    port.postMessage(null);
  } catch (error) {
    port.postMessage(error);
  }
  port.close();
});`;

/** Started when first needed, then kept; they do not keep the process alive. */
const workers: Worker[] = [];

/**
 * Calls the function once for each list of parameters, in parallel, and waits for all. One list alone is run in place,
 * without a worker.
 */
export async function callOnThreads({ module, memory, name }: ThreadedCall, parameters: number[][]): Promise<void> {
  if (parameters.length === 1) {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    exports[name]!(...parameters[0]!);
    return;
  }
  await Promise.all(
    parameters.map(
      (own, thread) =>
        new Promise<void>((resolve, reject) => {
          const { port1, port2 } = new MessageChannel();
          port1.once("message", (error: Error | null) => (error === null ? resolve() : reject(error)));
          // a worker that dies, e.g. for lack of memory, closes its port unanswered
          port1.once("close", () => reject(new Error(`pruning thread ended early: ${name}`)));
          workerAt(thread).postMessage({ port: port2, module, memory, name, parameters: own }, [port2]);
        }),
    ),
  );
}

function workerAt(thread: number): Worker {
  const running = workers[thread];
  if (running) return running;
  // execArgv: a loader such as tsx, given to the process, would only slow the start
  const worker = new Worker(workerSource, { eval: true, execArgv: [] });
  worker.unref();
  // Its closed port tells of it; without a listener the process would end.
  worker.on("error", () => {});
  worker.once("exit", () => {
    if (workers[thread] === worker) delete workers[thread];
  });
  workers[thread] = worker;
  return worker;
}

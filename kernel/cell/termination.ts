/** In the process of the cells: what stop.ts calls, while the main thread is paused, before V8 terminates what runs there. */
import { dirname, resolve } from "node:path";
import { clearImmediate, setImmediate } from "node:timers";
import { type Owner, ownerId } from "../display/owner.ts";
import { runningOwner } from "./engine.ts";

/** A termination skips every `finally`, also those of Node's own code; these put in order what Node then leaves behind. */
export const termination = {
  /**
   * Empties Node's stack of async ids; Node 20 and 22 abort when they find more on it than they expect, and take an
   * empty one for that of an error that was dealt with.
   */
  unwind: (): void => {
    if (!wrap) return;
    const { kStackLength, kExecutionAsyncId } = wrap.constants;
    while ((wrap.async_hook_fields[kStackLength] as number) > 0) {
      wrap.popAsyncContext(wrap.async_id_fields[kExecutionAsyncId] as number);
    }
  },
  /** Queues the immediates behind the one that is terminated again; Node would forget them and spin. */
  requeue: (running: Queued | undefined): void => {
    const waiting: Queued[] = [];
    for (let next = running?._idleNext; next; next = next._idleNext) waiting.push(next);
    for (const immediate of waiting) {
      const { _onImmediate: callback, _argv: args } = immediate;
      clearImmediate(immediate as never);
      if (callback) setImmediate(callback, ...(args ?? []));
    }
  },
  /** Takes the ticks of the cell that is being stopped out of Node's queue of them. */
  dropTicks: (queue: TickQueue): void => {
    const cell = runningOwner();
    const kept: object[] = [];
    for (let tick = queue.shift(); tick; tick = queue.shift()) if (!belongsTo(tick, cell)) kept.push(tick);
    for (const tick of kept) queue.push(tick);
  },
  /** The folders of packages with native code that was loaded; undefined if what runs is not of that cell. */
  nativeFolders: (cell: string): string[] | undefined =>
    runningOwner()?.id === cell || ownerId() === cell ? [...nativeFolders] : undefined,
};

interface TickQueue {
  shift(): object | null;
  push(tick: object): void;
}

/** Storage hangs its value on a tick under a symbol: itself (Node 20 and 22), or in a map (from Node 24 on). */
function belongsTo(tick: object, cell: Owner | undefined): boolean {
  return Object.getOwnPropertySymbols(tick).some((symbol) => {
    const value: unknown = Reflect.get(tick, symbol);
    return value === cell || (value instanceof Map && [...value.values()].includes(cell));
  });
}

interface Queued {
  _idleNext?: Queued;
  _onImmediate?: (...args: unknown[]) => void;
  _argv?: unknown[];
}

interface AsyncWrap {
  async_hook_fields: Uint32Array;
  async_id_fields: Float64Array;
  popAsyncContext(id: number): boolean;
  constants: { kStackLength: number; kExecutionAsyncId: number };
}

/** From Node 24 on AsyncLocalStorage needs no such stack, and the binding is gone. */
const wrap = asyncWrap();

function asyncWrap(): AsyncWrap | undefined {
  const { noDeprecation } = process;
  process.noDeprecation = true;
  try {
    return (process as unknown as { binding(name: string): AsyncWrap }).binding("async_wrap");
  } catch {
    return undefined;
  } finally {
    process.noDeprecation = noDeprecation ?? false;
  }
}

const nativeFolders = new Set<string>();

/** Notes where native code is loaded from: no JavaScript is terminated that may stand on it. */
export function watchNativeCode(): void {
  const load = process.dlopen;
  process.dlopen = function (this: NodeJS.Process, module: object, path: string, ...rest: []) {
    const file = resolve(path);
    const inPackage = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(file)?.[1];
    nativeFolders.add(inPackage ?? dirname(file));
    return Reflect.apply(load, this, [module, path, ...rest]);
  } as typeof process.dlopen;
}

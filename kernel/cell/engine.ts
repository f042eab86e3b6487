/** In the process of the cells: evaluates a cell in the lasting context, in V8's REPL mode, and ends it when it is stopped. */
import { Session } from "node:inspector";
import { setImmediate } from "node:timers";
import { Owner, owner, ownerId, runAs } from "../display/owner.ts";
import { STATE } from "../protocol/worker-channel.ts";

export type Completion = { ok: true; hasResult: boolean; result: unknown } | { ok: false; error: unknown };

/** What a cell sees when it is stopped. */
export class KeyboardInterrupt extends Error {
  override readonly name = "KeyboardInterrupt";
  constructor() {
    super("stopped by the user");
  }
}

interface Running {
  owner: Owner;
  settle(completion: Completion): void;
  result?: { value: unknown };
  stopped?: KeyboardInterrupt;
}

let session = connect();
let running: Running | undefined;
let taken: unknown;
/** Keeps what top-level awaits wait for alive: V8 aborts the process when it collects a cell that can never go on. */
const awaited = new Set<{ value: unknown }>();
/** Also written by control-thread.ts. */
export const shared: Int32Array = new Int32Array(new SharedArrayBuffer(8));

function connect(): Session {
  const created = new Session();
  created.connect();
  return created;
}

/** What the code of a cell calls under the name `__prunelab`; transpile.ts writes the calls. */
export const engineHooks = {
  /** Stands around every top-level await. An async function, so that stacks go through it. */
  hold: async (value: unknown): Promise<unknown> => {
    const cell = running;
    const token = { value };
    awaited.add(token);
    try {
      return await value;
    } finally {
      awaited.delete(token);
      // A stopped cell goes no further than to its next await.
      // biome-ignore lint/correctness/noUnsafeFinally: the interrupt replaces the value, or the error.
      if (cell?.stopped) throw cell.stopped;
    }
  },
  /** Stands around what a top-level `for await` iterates. */
  holdEach: (iterable: AsyncIterable<unknown>): AsyncIterable<unknown> => {
    const inner = (async function* () {
      yield* iterable;
    })();
    const iterator = {
      next: () => engineHooks.hold(inner.next()) as Promise<IteratorResult<unknown>>,
      return: () => inner.return(undefined) as Promise<IteratorResult<unknown>>,
    };
    return { [Symbol.asyncIterator]: () => iterator };
  },
  /** Stands around the last expression of a cell. */
  result: (value: unknown): void => {
    if (running && running.owner.id === ownerId()) running.result = { value };
  },
  take: (value: unknown): void => {
    taken = value;
  },
};

/** Evaluates one cell as part of the request `id`; only one at a time. */
export async function evaluate(id: string, code: string): Promise<Completion> {
  Atomics.store(shared, STATE.interrupted, 0);
  const completion = await new Promise<Completion>((resolve) => {
    running = { owner: new Owner(id), settle: resolve };
    runAs(running.owner, () => post(code));
  });
  running = undefined;
  return completion;
}

/** Ends the running cell with an error, as an error in one of its timers or promises does. */
export function failRunning(id: string, error: unknown): boolean {
  if (running?.owner.id !== id) return false;
  settle(running, error);
  abandon();
  return true;
}

/** Stops the running cell, if it is the one of that request. */
export function interrupt(id: string | undefined = running?.owner.id): void {
  const cell = running;
  if (!cell || cell.owner.id !== id || cell.stopped) return;
  cell.stopped = newInterrupt();
  cell.settle({ ok: false, error: cell.stopped });
  abandon();
  cell.owner.stop.abort(cell.stopped);
}

/** The signal of the cell that the running code belongs to; up to date even in code that never yields. */
export function interruptedSignal(): AbortSignal {
  if (Atomics.load(shared, STATE.interrupted) === 1) interrupt();
  return owner().stop.signal;
}

export function runningOwner(): Owner | undefined {
  return running?.owner;
}

function newInterrupt(): KeyboardInterrupt {
  const error = new KeyboardInterrupt();
  error.stack = `${error.name}: ${error.message}`;
  return error;
}

/** What fails in a cell that was stopped, such as the child process that it waited for, fails by the stop. */
function settle(cell: Running, error: unknown): void {
  const wasStopped = Atomics.load(shared, STATE.interrupted) === 1;
  cell.settle({ ok: false, error: wasStopped ? newInterrupt() : error });
}

/** Drops V8's record of a cell that will not be waited for; its answer would otherwise come during a collection. */
function abandon(): void {
  const dropped = session;
  session = connect();
  // Later, since the cell may stand on that very session.
  setImmediate(() => dropped.disconnect());
}

function post(expression: string): void {
  const mine = running;
  const objectGroup = "cell";
  session.post(
    "Runtime.evaluate",
    { expression, replMode: true, objectGroup, silent: true } as object,
    (failure, reply) => {
      if (!mine || running !== mine) return;
      const thrown = (reply as { exceptionDetails?: { exception?: RemoteObject } } | undefined)?.exceptionDetails;
      // From Node 22 on the inspector itself tells that the cell was terminated, by one message or another.
      if (failure && Atomics.load(shared, STATE.interrupted) === 1) interrupt();
      else if (failure) mine.settle({ ok: false, error: new Error(`the engine failed: ${failure.message}`) });
      else if (thrown) {
        settle(mine, localValue(thrown.exception ?? {}));
        session.post("Runtime.releaseObjectGroup", { objectGroup });
      } else {
        const completion = { ok: true, hasResult: mine.result !== undefined, result: mine.result?.value } as const;
        // One turn later, so that a promise that the cell rejected and left alone fails it first.
        setImmediate(() => mine.settle(completion));
      }
    },
  );
}

interface RemoteObject {
  type?: string;
  value?: unknown;
  unserializableValue?: string;
  objectId?: string;
}

/** The value in this process that an inspector's handle stands for. */
function localValue({ value, unserializableValue, objectId, type }: RemoteObject): unknown {
  if (unserializableValue !== undefined) {
    return type === "bigint" ? BigInt(unserializableValue.slice(0, -1)) : Number(unserializableValue);
  }
  if (objectId === undefined) return value;
  session.post("Runtime.callFunctionOn", {
    functionDeclaration: "function (value) { __prunelab.take(value) }",
    executionContextId: 1,
    arguments: [{ objectId }],
  });
  const local = taken;
  taken = undefined;
  return local;
}

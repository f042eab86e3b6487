/** Evaluates a cell in the lasting context of the process, in V8's REPL mode, so that SIGINT can stop it. */
import { Session } from "node:inspector";
import { setImmediate } from "node:timers";
import vm from "node:vm";
import { createUnwinder } from "./async-stack.ts";
import { ownerId, runAs } from "./owner.ts";
import { GUARD_FILE } from "./stack.ts";

export type Completion = { ok: true; hasResult: boolean; result: unknown } | { ok: false; error: unknown };

/** What a cell sees when it is stopped. */
export class KeyboardInterrupt extends Error {
  override readonly name = "KeyboardInterrupt";
  constructor() {
    super("stopped by the user");
  }
}

interface Running {
  id: string;
  settle(completion: Completion): void;
  result?: { value: unknown };
  stopped?: KeyboardInterrupt;
}

let session = connect();
let running: Running | undefined;
let task: () => void = () => {};
let taken: unknown;
/** Keeps what top-level awaits wait for alive: V8 aborts the process when it collects a cell that can never go on. */
const awaited = new Set<{ value: unknown }>();
const unwindTo = createUnwinder();
const guarded = new vm.Script("__prunelab.runTask()", { filename: GUARD_FILE });

function connect(): Session {
  const created = new Session();
  created.connect();
  return created;
}

/** What the code of a cell calls under the name `__prunelab`; transpile.ts writes the calls. */
export const engineHooks = {
  runTask: (): void => {
    task();
    // Runs ticks and microtasks here, where SIGINT can still stop them.
    (process as unknown as { _tickCallback(): void })._tickCallback();
  },
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
    if (running && running.id === ownerId()) running.result = { value };
  },
  take: (value: unknown): void => {
    taken = value;
  },
};

/** Runs `code` so that SIGINT stops even its endless loops and those of its microtasks; false when it was stopped. */
export function guard(code: () => void): boolean {
  const outer = task;
  const depth = unwindTo.depth();
  task = code;
  try {
    guarded.runInThisContext({ breakOnSigint: true, displayErrors: false });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException | undefined)?.code !== "ERR_SCRIPT_EXECUTION_INTERRUPTED") throw error;
    unwindTo.unwind(depth);
    interrupt();
    return false;
  } finally {
    task = outer;
  }
}

/** Evaluates one cell as part of the request `id`; only one at a time. */
export async function evaluate(id: string, code: string): Promise<Completion> {
  const completion = await new Promise<Completion>((resolve) => {
    running = { id, settle: resolve };
    runAs(id, () => guard(() => post(code)));
  });
  running = undefined;
  return completion;
}

/** Ends the running cell with an error, as an error in one of its timers or promises does. */
export function failRunning(id: string, error: unknown): boolean {
  if (running?.id !== id) return false;
  running.settle({ ok: false, error });
  abandon();
  return true;
}

/** Stops the running cell. */
export function interrupt(): void {
  if (!running) return;
  const error = new KeyboardInterrupt();
  error.stack = `${error.name}: ${error.message}`;
  running.stopped = error;
  running.settle({ ok: false, error });
  abandon();
}

/** Drops V8's record of a cell that will not be waited for; its answer would otherwise come during a collection. */
function abandon(): void {
  session.disconnect();
  session = connect();
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
      // From Node 22 on the inspector itself tells that SIGINT has ended the cell; the guard is still to do its part.
      if (failure?.message.includes("Execution was terminated")) interrupt();
      else if (failure) mine.settle({ ok: false, error: new Error(`the engine failed: ${failure.message}`) });
      else if (thrown) {
        mine.settle({ ok: false, error: localValue(thrown.exception ?? {}) });
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

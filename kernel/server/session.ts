/** The kernel's hold on the cells: plans one, runs it, stops it, and starts a new process for them when theirs is lost. */

import type { Content } from "../protocol/message.ts";
import type {
  CellError,
  FromControl,
  FromWorker,
  InputReply,
  Outcome,
  Script,
  StreamName,
  ToWorker,
} from "../protocol/worker-channel.ts";
import type { LanguageService } from "./language-service.ts";
import { startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

export interface CellRequest {
  /** The msg_id of the request. */
  id: string;
  source: string;
  /** The name in stack traces. */
  file: string;
  expressions: Record<string, string>;
  check: boolean;
  allowStdin: boolean;
}

export interface SessionEvents {
  onStream(id: string, name: StreamName, text: string): void;
  onPublish(message: Extract<FromWorker, { type: "publish" }>): void;
  /** An error of a cell that had ended. */
  onLateError(id: string, error: CellError): void;
  onInput(id: string, prompt: string, password: boolean): void;
  /** Before a cell goes to the process. */
  onScript(script: Script): Promise<void>;
  onInspectorEvent(method: string, params: Content): void;
  /** There is a new process. */
  onReplaced(): void;
}

export interface Session {
  run(request: CellRequest): Promise<Outcome>;
  /** Stops the running cell; when that fails, replaces the process. */
  interrupt(): void;
  answerInput(reply: InputReply): void;
  sendComm(message: Extract<ToWorker, { type: "comm" }>): void;
  /** Asks V8's inspector in the process of the cells. */
  inspect(method: string, params?: object): Promise<Content>;
  close(): Promise<void>;
}

/** A cell that has not stopped by then is inside native code, which is told; stopping it once more then ends its process. */
const NATIVE_WAIT_MS = 3000;
/** A cell that has not stopped by then is lost with its process. */
const INTERRUPT_WAIT_MS = 20_000;
/** A cell that has not stopped by then may be waiting for a process that it started. */
const GROUP_WAIT_MS = 200;

const STUCK =
  "the cell is inside native code and stops when that returns; to end its process, and lose all variables, stop it again\n";

interface Running {
  id: string;
  settle(outcome: Outcome): void;
  /** The process has the cell; before that it is being checked. */
  sent: boolean;
  /** The user was told that native code keeps it from stopping. */
  isStuck?: boolean;
}

export function startSession(language: LanguageService, events: SessionEvents): Session {
  let worker: WorkerProcess;
  let running: Running | undefined;
  let latestId = "";
  let exitCode: number | undefined;
  let closed = false;
  let waitsForInput = false;
  const questions = new Map<number, { resolve(reply: Content): void; reject(error: Error): void }>();
  let asked = 0;

  function start(): void {
    exitCode = undefined;
    const mine = startWorkerProcess({
      onMessage: (message) => {
        if (worker === mine) receive(message);
      },
      onControl: (message) => {
        if (worker === mine) receiveControl(message);
      },
      onRawOutput: (name, text) => events.onStream(latestId, name, text),
      onExit: (reason) => {
        if (worker === mine && !closed) replace(exitCode === undefined ? reason : `exit code ${exitCode}`);
      },
    });
    worker = mine;
  }

  function receiveControl(message: FromControl): void {
    if (message.type === "inspector-event") {
      events.onInspectorEvent(message.method, message.params);
      return;
    }
    const asked = questions.get(message.count);
    questions.delete(message.count);
    if (message.failure === undefined) asked?.resolve(message.reply ?? {});
    else asked?.reject(new Error(message.failure));
  }

  function receive(message: FromWorker): void {
    if (message.type === "stream") events.onStream(message.id, message.name, message.text);
    else if (message.type === "publish") events.onPublish(message);
    else if (message.type === "late-error") events.onLateError(message.id, message.error);
    else if (message.type === "exit") exitCode = message.code;
    else if (message.type === "input") {
      waitsForInput = true;
      events.onInput(message.id, message.prompt, message.password);
    } else if (message.type === "done" && message.id === running?.id) running.settle(message.outcome);
  }

  /** A new process, without what the cells had made; the checker forgets it too. */
  function replace(reason: string): void {
    start();
    for (const { reject } of questions.values()) reject(new Error("the process of the cells has ended"));
    questions.clear();
    events.onReplaced();
    language.reset();
    const error = lost(reason);
    if (running?.sent) running.settle({ status: "error", error });
    else events.onLateError(latestId, error);
  }

  async function run(request: CellRequest): Promise<Outcome> {
    latestId = request.id;
    return new Promise<Outcome>((resolve) => {
      const mine: Running = {
        id: request.id,
        sent: false,
        settle: (outcome) => {
          if (running === mine) running = undefined;
          waitsForInput = false;
          resolve(outcome);
        },
      };
      running = mine;
      plan(request, () => running === mine).then(
        (planned) => {
          if (!planned) return;
          if ("error" in planned) return mine.settle({ status: "error", error: planned.error });
          mine.sent = true;
          const { id, allowStdin } = request;
          worker.send({ type: "execute", id, allowStdin, ...planned });
        },
        (error: Error) =>
          mine.settle({
            status: "error",
            error: { name: "CheckerError", value: error.message, traceback: [error.message] },
          }),
      );
    });
  }

  /** Nothing where the cell was stopped in the meantime. */
  async function plan({ source, file, check, expressions }: CellRequest, isWanted: () => boolean) {
    const planned = await language.plan(source, file, check);
    if (!isWanted()) return undefined;
    if ("error" in planned) return planned;
    language.commit();
    const scripts: Record<string, Script> = {};
    for (const [name, expression] of Object.entries(expressions)) {
      const planned = await language.plan(expression, `${name}.ts`, false);
      if ("script" in planned) scripts[name] = planned.script;
    }
    await events.onScript(planned.script);
    return isWanted() ? { script: planned.script, expressions: scripts } : undefined;
  }

  /** Unless the cell has ended by then. */
  function after(waitMs: number, cell: Running, act: () => void): void {
    setTimeout(() => running === cell && act(), waitMs).unref();
  }

  function end(cell: Running): void {
    if (running !== cell) return;
    const stuck = worker;
    replace("it did not stop when interrupted");
    stuck.kill();
  }

  start();
  return {
    run,
    interrupt: () => {
      const stopped = running;
      if (stopped && !stopped.sent) {
        const name = "KeyboardInterrupt";
        const value = "stopped by the user before it ran";
        return stopped.settle({ status: "error", error: { name, value, traceback: [`${name}: ${value}`] } });
      }
      // A cell that waits for input blocks its process; the answer stops it.
      if (waitsForInput) worker.answerInput({ interrupted: true });
      else if (stopped) worker.control({ type: "interrupt", id: stopped.id });
      waitsForInput = false;
      if (!stopped) return;
      if (stopped.isStuck) return end(stopped);
      after(GROUP_WAIT_MS, stopped, () => worker.interruptChildren());
      after(NATIVE_WAIT_MS, stopped, () => {
        stopped.isStuck = true;
        events.onStream(stopped.id, "stderr", STUCK);
      });
      after(INTERRUPT_WAIT_MS, stopped, () => end(stopped));
    },
    answerInput: (reply) => {
      if (waitsForInput) worker.answerInput(reply);
      waitsForInput = false;
    },
    sendComm: (message) => worker.send(message),
    inspect: (method, params = {}) =>
      new Promise((resolve, reject) => {
        const count = ++asked;
        questions.set(count, { resolve, reject });
        worker.control({ type: "inspect", count, method, params });
      }),
    close: () => {
      closed = true;
      language.close();
      return worker.close();
    },
  };
}

function lost(reason: string): CellError {
  const name = "KernelRestarted";
  const value = `the process of the cells was replaced (${reason}): its variables are lost; run the cells that make them again`;
  return { name, value, traceback: [`${name}: ${value}`] };
}

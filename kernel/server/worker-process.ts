/** Starts the process of the cells and captures its file descriptors; the kernel's handle on it. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { builtFile } from "../../src/base/package-root.ts";
import {
  type FromControl,
  type FromWorker,
  type InputReply,
  onJsonLines,
  outputMark,
  type StreamName,
  type ToControl,
  type ToWorker,
} from "../protocol/worker-channel.ts";

export interface WorkerEvents {
  onMessage(message: FromWorker): void;
  onControl(message: FromControl): void;
  /** What native code and child processes wrote to file descriptor 1 or 2. */
  onRawOutput(name: StreamName, text: string): void;
  /** Comes last, once all output is in. `reason` reads like `exit code 3` or `signal SIGSEGV`. */
  onExit(reason: string): void;
}

export interface WorkerProcess {
  send(message: ToWorker): void;
  answerInput(reply: InputReply): void;
  /** To the control thread, which answers even while a cell never yields. */
  control(message: ToControl): void;
  /** Sends SIGINT to what the process has started; the process itself does not heed it. */
  interruptChildren(): void;
  kill(): void;
  /** Lets the process end by itself, for a moment. */
  close(): Promise<void>;
}

/** How long to wait for the rest of the output of a cell or of a process that has ended, in case someone holds the pipe. */
const OUTPUT_WAIT_MS = 500;
/** How long the process may take for its exit handlers. */
const CLOSE_WAIT_MS = 500;

export function startWorkerProcess(events: WorkerEvents): WorkerProcess {
  const secret = randomBytes(12).toString("hex");
  // What is terminated leaves async ids behind, which Node 24 lets nobody clear, and at which it would abort.
  const flags = [
    "--experimental-import-meta-resolve",
    "--disable-warning=ExperimentalWarning",
    "--no-force-async-hooks-checks",
  ];
  const child = spawn(process.execPath, [...flags, builtFile("kernel/cell/worker.js"), secret], {
    stdio: ["ignore", ...Array<"pipe">(7).fill("pipe")],
    // A group of its own, so that an interrupt reaches what a cell has started, and only that.
    detached: true,
  });
  const pipes = child.stdio as unknown as [null, Readable, Readable, Readable, Writable, Writable, Writable, Readable];
  const [, stdout, stderr, out, input, answers, control, controlOut] = pipes;
  const marks = { stdout: 0, stderr: 0 };
  let cells = 0;
  let wake = () => {};
  for (const [name, stream] of [
    ["stdout", stdout],
    ["stderr", stderr],
  ] as const) {
    onMarkedText(stream, outputMark(secret), {
      onText: (text) => events.onRawOutput(name, text),
      onMark: () => {
        marks[name]++;
        wake();
      },
    });
  }
  // A process that dies leaves broken pipes behind; its exit tells.
  for (const stream of [input, answers, control]) stream.on("error", () => {});

  const held: FromWorker[] = [];
  onJsonLines<FromWorker>(out, (message) => {
    if (message.type === "done") cells++;
    held.push(message);
    release();
  });
  wake = release;
  onJsonLines<FromControl>(controlOut, events.onControl);

  /** Passes messages on in order; the end of a cell waits for the marks in its output. */
  function release(): void {
    while (held.length > 0) {
      const message = held[0] as FromWorker;
      if (message.type === "done" && Math.min(marks.stdout, marks.stderr) < cells) {
        const expected = cells;
        setTimeout(() => {
          // Someone closed a descriptor.
          marks.stdout = Math.max(marks.stdout, expected);
          marks.stderr = Math.max(marks.stderr, expected);
          release();
        }, OUTPUT_WAIT_MS).unref();
        return;
      }
      held.shift();
      events.onMessage(message);
    }
  }

  const exit = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(`cannot start: ${error.message}`));
    child.on("exit", (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
  void exit.then(async (reason) => {
    const ends = [stdout, stderr, out].map((stream) => (stream.readableEnded ? undefined : once(stream, "end")));
    const tooLong = new Promise((resolve) => setTimeout(resolve, OUTPUT_WAIT_MS).unref());
    await Promise.race([Promise.all(ends), tooLong]).catch(() => {});
    events.onExit(reason);
  });

  /** To the process and what it has started; Windows knows no groups. */
  function signal(name: NodeJS.Signals): void {
    if (child.pid === undefined || (name === "SIGINT" && process.platform === "win32")) return;
    try {
      process.kill(process.platform === "win32" ? child.pid : -child.pid, name);
    } catch {
      // It has gone already.
    }
  }

  return {
    send: (message) => void input.write(`${JSON.stringify(message)}\n`),
    answerInput: (reply) => void answers.write(`${JSON.stringify(reply)}\n`),
    control: (message) => void control.write(`${JSON.stringify(message)}\n`),
    interruptChildren: () => signal("SIGINT"),
    kill: () => signal("SIGKILL"),
    close: async () => {
      input.end();
      const tooLong = new Promise((resolve) => setTimeout(resolve, CLOSE_WAIT_MS).unref());
      await Promise.race([exit, tooLong]);
      signal("SIGKILL");
    },
  };
}

/** Splits the marks out of a stream of text; a mark may come in two chunks. */
function onMarkedText(stream: Readable, mark: string, events: { onText(text: string): void; onMark(): void }): void {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    rest += decoder.write(chunk);
    const parts = rest.split(mark);
    rest = parts.pop() as string;
    for (const text of parts) {
      if (text !== "") events.onText(text);
      events.onMark();
    }
    const cut = rest.lastIndexOf(mark[0] as string);
    const keep = cut >= 0 && mark.startsWith(rest.slice(cut)) ? cut : rest.length;
    if (keep > 0) events.onText(rest.slice(0, keep));
    rest = rest.slice(keep);
  });
  stream.on("end", () => {
    if (rest !== "") events.onText(rest);
  });
}

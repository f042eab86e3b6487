/** What the kernel and the process of the cells say to each other, as one JSON value a line over two pipes. */
import { writeSync } from "node:fs";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** File descriptors of the worker besides 0 to 2. */
export const WORKER_FD = { out: 3, in: 4, input: 5, control: 6, controlOut: 7 } as const;

/** A cell as JavaScript. */
export interface Script {
  /** The name in stack traces, such as `cell-3.ts`. */
  file: string;
  code: string;
  /** A source map, version 3. */
  map: string;
  /** What the user wrote, for excerpts in tracebacks. */
  source: string;
}

/** https://jupyter-client.readthedocs.io/en/stable/messaging.html#display-data */
export interface MimeBundle {
  data: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

export interface CellError {
  name: string;
  value: string;
  traceback: string[];
}

export type ExpressionResult = ({ status: "ok" } & MimeBundle) | ({ status: "error" } & CellError);

export type Outcome =
  | { status: "ok"; result?: MimeBundle; expressions: Record<string, ExpressionResult> }
  | { status: "error"; error: CellError };

/** A comm message as the worker sees it; buffers in base64. */
export interface CommContent {
  comm_id: string;
  target_name?: string;
  data: unknown;
}

export type ToWorker =
  | {
      type: "execute";
      id: string;
      script: Script;
      expressions: Record<string, Script>;
      allowStdin: boolean;
    }
  | {
      type: "comm";
      id: string;
      event: "comm_open" | "comm_msg" | "comm_close";
      content: CommContent;
      buffers: string[];
    };

/** To the control thread of the process of the cells, which hears it even while a cell never yields. */
export type ToControl =
  | { type: "interrupt"; id: string }
  /** A question to V8's inspector of the main thread. */
  | { type: "inspect"; count: number; method: string; params: object };

export type FromControl =
  | { type: "inspected"; count: number; reply?: Record<string, unknown>; failure?: string }
  | { type: "inspector-event"; method: string; params: Record<string, unknown> };

/** From the control thread to the main thread of the same process. */
export type ToMain = { type: "interrupt"; id: string } | { type: "ping"; count: number };

/** Where, in the memory that both threads see, the stop of the running cell and the last ping that was answered stand. */
export const STATE = { interrupted: 0, answered: 1 } as const;

/** `id` is the msg_id of the request that a message belongs to. */
export type FromWorker =
  | { type: "ready" }
  | { type: "stream"; id: string; name: StreamName; text: string }
  | {
      type: "publish";
      id: string;
      messageType: string;
      content: Record<string, unknown>;
      buffers?: string[];
      metadata?: Record<string, unknown>;
    }
  | { type: "input"; id: string; prompt: string; password: boolean }
  | { type: "late-error"; id: string; error: CellError }
  | { type: "done"; id: string; outcome: Outcome }
  | { type: "exit"; code: number };

export type StreamName = "stdout" | "stderr";

/** The reply to an `input` message, one JSON line on its own pipe; `unavailable` tells why there is no input. */
export type InputReply = { value: string } | { interrupted: true } | { unavailable: string };

/** Ends the output of a cell on a file descriptor; `secret` keeps a cell from printing one. */
export function outputMark(secret: string): string {
  return `\0${secret}\n`;
}

/** Writes all of `text`, waiting while the pipe is full: output must leave even from a loop that never yields. */
export function writeFully(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** Calls back for each JSON line of a stream. */
export function onJsonLines<T>(stream: Readable, onValue: (value: T) => void): void {
  const decoder = new StringDecoder("utf8");
  let parts: string[] = [];
  stream.on("data", (chunk: Buffer) => {
    const lines = decoder.write(chunk).split("\n");
    for (let i = 0; i < lines.length - 1; i++) {
      parts.push(lines[i] as string);
      const line = parts.join("");
      parts = [];
      let value: T;
      try {
        value = JSON.parse(line) as T;
      } catch {
        continue; // Only code of the user's that writes to this descriptor makes such lines.
      }
      onValue(value);
    }
    parts.push(lines[lines.length - 1] as string);
  });
}

/** `prompt`, `confirm` and `promptPassword` for cells: they ask the client and block until it answers. */
import { readSync } from "node:fs";
import { ownerId } from "../display/owner.ts";
import { type InputReply, WORKER_FD } from "../protocol/worker-channel.ts";
import { KeyboardInterrupt } from "./engine.ts";

export interface StdinApi {
  prompt(message?: string, fallback?: string): string | null;
  confirm(message?: string): boolean;
  promptPassword(message?: string): string;
}

export function createStdin(ask: (id: string, prompt: string, password: boolean) => void): StdinApi {
  /** Throws where the client takes no input (a headless run), and when the user stops the cell. */
  function input(message: string, password: boolean): string {
    ask(ownerId(), message, password);
    const reply = JSON.parse(readLine(WORKER_FD.input)) as InputReply;
    if ("interrupted" in reply) throw new KeyboardInterrupt();
    if ("unavailable" in reply) throw new Error(reply.unavailable);
    return reply.value;
  }
  return {
    prompt: (message = "", fallback) => {
      const shown = fallback === undefined ? message : `${message} [${fallback}]`;
      return input(`${shown} `.trimStart(), false) || (fallback ?? "");
    },
    confirm: (message = "") => /^\s*y(es)?\s*$/i.test(input(`${message} [y/N] `.trimStart(), false)),
    promptPassword: (message = "Password:") => input(`${message} `, true),
  };
}

/** Waits for a whole line, with the event loop standing still, as `prompt` in a browser does. */
function readLine(fd: number): string {
  const chunks: Buffer[] = [];
  const chunk = Buffer.alloc(4096);
  for (;;) {
    const count = readSync(fd, chunk);
    if (count === 0) throw new Error("the kernel has gone");
    chunks.push(Buffer.from(chunk.subarray(0, count)));
    if (chunk[count - 1] === 10) return Buffer.concat(chunks).toString();
  }
}

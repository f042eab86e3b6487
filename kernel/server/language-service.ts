/** The kernel's side of the process that knows TypeScript: asks, and starts a new process when the old one breaks. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { builtFile } from "../../src/base/package-root.ts";
import {
  CHECKS,
  type Language,
  type LanguageReply,
  type LanguageRequest,
  READY_ID,
} from "../language/language-messages.ts";
import { LANGUAGE_FLAGS, makeSnapshot, snapshotPath } from "../language/snapshot-file.ts";

export type LanguageService = {
  [Method in Exclude<keyof Language, "commit" | "reset">]: (
    ...params: Parameters<Language[Method]>
  ) => Promise<ReturnType<Language[Method]>>;
} & {
  /** Goes without an answer. */
  commit(): void;
  reset(): void;
  close(): void;
};

/** What the process is told when it starts. */
export interface LanguageOptions {
  /** Whether cells will be checked. */
  check: boolean;
}

/** A snapshot is made once the first cells have their answers. */
const SNAPSHOT_WAIT_MS = 2000;

export function startLanguageService(options: LanguageOptions): LanguageService {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const snapshot = snapshotPath();
  let count = READY_ID;
  let closed = false;
  let isPlanned = false;
  /** What was asked of a process that does not listen yet; if it never does, another one is asked. */
  let early: LanguageRequest[] | undefined;
  let running = start();

  function start(): ChildProcess {
    const fromSnapshot = existsSync(snapshot);
    const flags = fromSnapshot ? [...LANGUAGE_FLAGS, "--snapshot-blob", snapshot] : LANGUAGE_FLAGS;
    const args = [builtFile("kernel/language/language-process.js"), ...(options.check ? [CHECKS] : [])];
    const created = spawn(process.execPath, [...flags, ...args], {
      stdio: ["ignore", 2, 2, "ipc"],
      // A group of its own: Ctrl-C in a terminal is for the cells.
      detached: true,
      windowsHide: true,
    });
    early = [];
    created.on("message", ({ id, value, failure }: LanguageReply) => {
      if (id === READY_ID) {
        early = undefined;
        return;
      }
      if (!fromSnapshot) planSnapshot();
      const asked = waiting.get(id);
      waiting.delete(id);
      if (waiting.size === 0) letGo(created);
      if (failure === undefined) asked?.resolve(value);
      else asked?.reject(new Error(`the TypeScript checker failed: ${failure}`));
    });
    const failed = (reason: string) => {
      if (created !== running || closed) return;
      if (early && fromSnapshot) startAgain();
      else broken(reason);
    };
    created.on("error", ({ message }) => failed(message));
    created.on("exit", (code, signal) => failed(signal ? `signal ${signal}` : `exit code ${code}`));
    letGo(created);
    return created;
  }

  function planSnapshot(): void {
    if (isPlanned) return;
    isPlanned = true;
    setTimeout(() => closed || makeSnapshot(snapshot), SNAPSHOT_WAIT_MS).unref();
  }

  /** Alone it keeps this process no longer. */
  function letGo(child: ChildProcess): void {
    child.unref();
    child.channel?.unref();
  }

  /** A snapshot that Node does not take is of no use. */
  function startAgain(): void {
    const asked = early ?? [];
    rmSync(snapshot, { force: true });
    running = start();
    asked.forEach(post);
  }

  function broken(reason: string): void {
    const lost = [...waiting.values()];
    waiting.clear();
    running = start();
    for (const { reject } of lost) {
      reject(new Error(`the TypeScript checker broke off, and the types of earlier cells are lost: ${reason}`));
    }
  }

  function post(request: LanguageRequest): void {
    early?.push(request);
    if (request.id !== undefined) {
      running.ref();
      running.channel?.ref();
    }
    // One that is ending takes no more; its end is told.
    running.send(request, () => {});
  }

  function ask(method: keyof Language, params: unknown[]): Promise<unknown> {
    const id = ++count;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      post({ id, method, params });
    });
  }

  const method = <Name extends Exclude<keyof Language, "commit" | "reset">>(name: Name) =>
    ((...params: unknown[]) => ask(name, params)) as unknown as LanguageService[Name];
  return {
    plan: method("plan"),
    commit: () => post({ method: "commit", params: [] }),
    complete: method("complete"),
    inspect: method("inspect"),
    isComplete: method("isComplete"),
    reset: () => post({ method: "reset", params: [] }),
    close: () => {
      closed = true;
      running.kill("SIGKILL");
    },
  };
}

/** The kernel's side of the thread that knows TypeScript: asks, and starts a new thread when the old one breaks. */
import { Worker } from "node:worker_threads";
import { builtFile } from "../../src/base/package-root.ts";
import type { Language, LanguageOptions, LanguageReply, LanguageRequest } from "../language/language-messages.ts";

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

/** Enough for the types of the packages that notebooks import; a runaway type ends the thread, not the kernel. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 2048, maxYoungGenerationSizeMb: 48 };

export function startLanguageService(options: LanguageOptions): LanguageService {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let count = 0;
  let closed = false;
  let thread = start();

  function start(): Worker {
    const created = new Worker(builtFile("kernel/language/language-thread.js"), {
      resourceLimits: RESOURCE_LIMITS,
      workerData: options,
      // It runs from the build, whatever loader this process has.
      execArgv: [],
      stdout: true,
    });
    created.stdout.pipe(process.stderr, { end: false });
    created.on("message", ({ id, value, failure }: LanguageReply) => {
      const asked = waiting.get(id);
      waiting.delete(id);
      if (failure === undefined) asked?.resolve(value);
      else asked?.reject(new Error(`the TypeScript checker failed: ${failure}`));
    });
    created.on("error", (error) => broken(created, error));
    created.on("exit", () => broken(created, new Error("the TypeScript checker ended")));
    created.unref();
    return created;
  }

  function broken(which: Worker, error: Error): void {
    if (which !== thread || closed) return;
    const lost = [...waiting.values()];
    waiting.clear();
    thread = start();
    for (const { reject } of lost) {
      reject(new Error(`the TypeScript checker broke off, and the types of earlier cells are lost: ${error.message}`));
    }
  }

  function ask(method: keyof Language, params: unknown[]): Promise<unknown> {
    const id = ++count;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      thread.postMessage({ id, method, params } satisfies LanguageRequest);
    });
  }

  function tell(method: "commit" | "reset"): void {
    thread.postMessage({ method, params: [] } satisfies LanguageRequest);
  }

  const method = <Name extends Exclude<keyof Language, "commit" | "reset">>(name: Name) =>
    ((...params: unknown[]) => ask(name, params)) as unknown as LanguageService[Name];
  return {
    plan: method("plan"),
    commit: () => tell("commit"),
    complete: method("complete"),
    inspect: method("inspect"),
    isComplete: method("isComplete"),
    reset: () => tell("reset"),
    close: () => {
      closed = true;
      void thread.terminate();
    },
  };
}

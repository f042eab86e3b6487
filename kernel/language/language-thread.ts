/** The thread that knows TypeScript: checking takes tens of milliseconds, and the sockets must not wait for it. */
import { parentPort, workerData } from "node:worker_threads";
import { skipsCheck } from "./cell-source.ts";
import { type Checker, createChecker } from "./checker.ts";
import { isComplete } from "./completeness.ts";
import { completeCell } from "./completion.ts";
import { describeDiagnostics, syntaxErrors } from "./diagnostics.ts";
import { collectWhenIdle } from "./idle-collection.ts";
import { inspectCell } from "./inspection.ts";
import type { Language, LanguageOptions, LanguageReply, LanguageRequest } from "./language-messages.ts";
import { transpileCell } from "./transpile.ts";

const UNCHECKED_START_MS = 1500;
const WARM_RUNS = 10;
const touch = collectWhenIdle();
let started: Checker | undefined;
let planned: () => void = () => {};
/** Cells that ran unchecked; they are read when something asks about their names. */
let unread: string[] = [];

function checker(): Checker {
  started ??= createChecker();
  for (const source of unread.splice(0)) started.learn(source);
  return started;
}

const language: Language = {
  plan: (source, file, check) => {
    planned = () => {};
    if (check && !skipsCheck(source)) {
      const { diagnostics, script, commit } = checker().check(source);
      if (diagnostics.length > 0) return { error: describeDiagnostics(diagnostics, source, file) };
      planned = commit;
      return { script: script(file) };
    }
    const errors = syntaxErrors(source);
    if (errors.length > 0) return { error: describeDiagnostics(errors, source, file) };
    planned = () => unread.push(source);
    return { script: transpileCell(source, file) };
  },
  commit: () => planned(),
  complete: (source, position) => completeCell(checker(), source, position),
  inspect: (source, position) => inspectCell(checker(), source, position),
  isComplete,
  reset: () => {
    unread = [];
    started?.reset();
  },
};

parentPort?.on("message", ({ id, method, params }: LanguageRequest) => {
  const reply: LanguageReply = { id: id ?? 0 };
  try {
    reply.value = (language[method] as (...values: unknown[]) => unknown)(...params);
  } catch (error) {
    reply.failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  if (id !== undefined) parentPort?.postMessage(reply);
  touch();
});

// Started before the first question comes, since it takes most of a second; where cells go unchecked, after the first.
const { check } = workerData as LanguageOptions;
setTimeout(
  () => {
    try {
      checker().check("1");
      touch();
    } catch {
      // The first question tries again, and is told why.
    }
  },
  check ? 0 : UNCHECKED_START_MS,
);
// The engine compiles what it has run a few times.
if (!check) for (let i = 0; i < WARM_RUNS; i++) transpileCell("let warm = 1;", "cell-0.ts");

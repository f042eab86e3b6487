/** The process that knows TypeScript: checking takes tens of milliseconds, and the sockets must not wait for it. */
import { skipsCheck } from "./cell-source.ts";
import { type Checker, createChecker } from "./checker.ts";
import { isComplete } from "./completeness.ts";
import { completeCell } from "./completion.ts";
import { describeDiagnostics, syntaxErrors } from "./diagnostics.ts";
import { collectWhenIdle } from "./idle-collection.ts";
import { inspectCell } from "./inspection.ts";
import { CHECKS, type Language, type LanguageReply, type LanguageRequest, READY_ID } from "./language-messages.ts";
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

function answer({ id, method, params }: LanguageRequest): void {
  const reply: LanguageReply = { id: id ?? READY_ID };
  try {
    reply.value = (language[method] as (...values: unknown[]) => unknown)(...params);
  } catch (error) {
    reply.failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  if (id !== undefined) send(reply);
  touch();
}

/** Who asked may have gone, which ends this process too. */
function send(reply: LanguageReply): void {
  process.send?.(reply, () => {});
}

const checks = process.argv[2] === CHECKS;
process.on("message", answer);
process.on("disconnect", () => process.exit());
send({ id: READY_ID });
// Started before the first question comes, since it takes long; where cells go unchecked, after the first.
setTimeout(
  () => {
    try {
      checker().check("1");
      touch();
    } catch {
      // The first question tries again, and is told why.
    }
  },
  checks ? 0 : UNCHECKED_START_MS,
);
// The engine compiles what it has run a few times.
if (!checks) for (let i = 0; i < WARM_RUNS; i++) transpileCell("let warm = 1;", "cell-0.ts");

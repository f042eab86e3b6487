/** What a command says when it fails: a user's mistake in one line, anything else with its stack. */
import { KernelError } from "../../kernel/errors.ts";
import { PrunelabError } from "../../src/errors.ts";

/** Prints the error and sets the exit code: 2 for a wrong option, else the error's own or 1. */
export function explainError(command: string, error: unknown): void {
  // Programs that parse their words themselves.
  const isUsage =
    error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS");
  const isExpected = error instanceof PrunelabError || error instanceof KernelError || isUsage;
  console.error(isExpected ? `${command}: ${(error as Error).message}` : error);
  process.exitCode = isUsage ? 2 : ((error as { exitCode?: number }).exitCode ?? 1);
}

/** For a script that awaits at its top level: explains what it throws, and ends. */
export function explainErrors(command: string): void {
  process.once("uncaughtException", (error) => {
    explainError(command, error);
    process.exit();
  });
}

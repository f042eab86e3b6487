/** What ends a headless run, and with which exit code. */
import { KernelError } from "../errors.ts";

/** Documented in `prunelab run --help`; a signal ends with 128 and its number. */
export const exitCodes = {
  passed: 0,
  failed: 1,
  options: 2,
  notebook: 3,
  timeout: 4,
  kernel: 5,
  different: 6,
  write: 7,
} as const;

export type Failure = Exclude<keyof typeof exitCodes, "passed">;

/** Told in one sentence, without a stack. */
export class RunError extends KernelError {
  readonly exitCode: number;

  constructor(failure: Failure, message: string) {
    super(message);
    this.exitCode = exitCodes[failure];
  }
}

/** Runs Python's pip, so that it ends when we do. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { PrunelabError } from "../errors.ts";

const pythons = ["python3", "python"];
const hasGroups = process.platform !== "win32";
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs `python3 -m pip` with its temporary files in the folder `work`. When this process ends or is asked to, pip is killed and that folder removed.
 *
 * @throws PrunelabError that says what is missing: Python, pip, the network, the package, or disk space.
 */
export async function runPip(args: readonly string[], work: string): Promise<void> {
  for (const python of pythons) {
    const outcome = await run(python, ["-m", "pip", ...args], work);
    if (outcome === "not found") continue;
    if (outcome.code === 0) return;
    throw new PrunelabError(failureOf(outcome.stderr, outcome.code, python));
  }
  throw new PrunelabError("cannot run pip: there is no python3; install Python 3.9 or later with pip");
}

async function run(
  command: string,
  args: readonly string[],
  work: string,
): Promise<{ code: number | null; stderr: string } | "not found"> {
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "pipe"],
    // A process group of its own: python3 may be a script, such as pyenv's, that starts the real one.
    detached: hasGroups,
    env: {
      ...process.env,
      TMPDIR: work,
      TEMP: work,
      TMP: work,
      // Settings of the user's that do not go with --target.
      PIP_USER: "0",
      PIP_REQUIRE_VIRTUALENV: "0",
      PYTHONIOENCODING: "utf-8",
    },
  });
  const stopGuarding = endWithUs(child, work);
  try {
    return await new Promise((resolve, reject) => {
      let stderr = "";
      child.stderr.on("data", (chunk: Buffer) => {
        stderr = (stderr + chunk.toString()).slice(-8_192);
      });
      child.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") resolve("not found");
        else reject(new PrunelabError(`cannot run ${command}: ${error.message}`, { cause: error }));
      });
      child.on("close", (code) => resolve({ code, stderr }));
    });
  } finally {
    stopGuarding();
  }
}

/** A signal sent to this process alone does not reach its children. */
function endWithUs(child: ChildProcess, work: string): () => void {
  const end = () => {
    kill(child);
    rmSync(work, { recursive: true, force: true, maxRetries: 3 });
  };
  const onSignal = (signal: NodeJS.Signals) => {
    end();
    stop();
    // Our listener kept the signal from its usual work. Where others listen too (the kernel does), what happens is theirs to decide.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  const stop = () => {
    for (const signal of signals) process.off(signal, onSignal);
    process.off("exit", end);
  };
  for (const signal of signals) process.on(signal, onSignal);
  process.on("exit", end);
  return stop;
}

function kill(child: ChildProcess): void {
  // No number: it was not started.
  if (child.pid === undefined) return;
  try {
    if (hasGroups) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
}

function failureOf(stderr: string, code: number | null, python: string): string {
  if (code === null) return "pip was stopped";
  if (/No module named '?pip\b/.test(stderr))
    return `cannot run pip: ${python} has none; install it, e.g. with ${python} -m ensurepip`;
  if (/No space left on device|Errno 28|Disk quota exceeded/.test(stderr))
    return "pip could not write: the disk is full; free some space and run again";
  const network =
    /name resolution|nodename nor servname|getaddrinfo failed|Network is unreachable|No route to host|Connection (?:refused|reset|aborted)|timed out|Cannot connect to proxy|certificate verify failed/.exec(
      stderr,
    );
  if (network) return `pip cannot reach its package index: ${network[0]}; check the network, or pip's settings`;
  const lines = stderr.trim().split("\n");
  const line = lines.findLast((candidate) => candidate.startsWith("ERROR:")) ?? lines.at(-1) ?? "";
  return `pip failed with exit code ${code}: ${line.replace(/^ERROR: /, "")}`;
}

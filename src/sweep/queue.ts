/** Units through BullMQ's queue: `pushUnits` puts them there, `workUnits` takes them one at a time. The queue schedules, retries and recovers. */
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Queue } from "bullmq";
import { writeFileAtomic } from "../base/atomic.ts";
import { parseJsonObject } from "../base/json.ts";
import { builtFile } from "../base/package-root.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import { withLock } from "../hub/lock.ts";
import { planText, readPlan, type Unit } from "./plan.ts";
import { sweepStatus } from "./results.ts";
import { exitCodes, type UnitOrder, type UnitReport } from "./unit-process.ts";

export interface QueueOptions {
  /** `redis://`, `rediss://` or `postgres://`; a password in it is shown nowhere. */
  readonly url: string;
  /** The study's folder, which all machines share. */
  readonly output: string;
  readonly onNotice?: (line: string) => void;
}

/** For how long a queue that does not answer is tried, in ms. */
const REACH_MS = 10_000;
/** A unit of which no worker has been heard for this long, in ms, goes to another; looked for twice as often. */
const LOCK_MS = 60_000;
/** Before a unit that failed for the time being is tried again; twice as long the next time. */
const BACKOFF_MS = 30_000;
const TRIES = 3;

/**
 * Puts the units that are not done into the queue. A unit that is there already is not added again; with `retry` one that has failed is.
 *
 * @throws PrunelabError if the queue cannot be reached, or bullmq is not installed.
 */
export async function pushUnits(
  units: readonly Unit[],
  { retry = false, ...options }: QueueOptions & { readonly retry?: boolean },
): Promise<{ added: number; known: number; done: number }> {
  const { output, onNotice } = options;
  const { done, damaged } = await sweepStatus(units, output);
  for (const line of damaged) onNotice?.(`${line}; the unit is done again`);
  const finished = new Set(done.map(({ id }) => id));
  const open = units.filter(({ id }) => !finished.has(id));
  // One push at a time: of two, one would lose the other's units or queue.
  const name = await withLock(planPath(output), async () => {
    await keepPlan(units, output);
    return (await readName(output)) ?? (await newName(units, output));
  });
  return await withQueue(name, options, async (queue) => {
    let added = 0;
    // In parts: one command of 10,000 jobs would block a Redis that others use.
    for (let from = 0; from < open.length; from += 500) {
      const part = open.slice(from, from + 500);
      const states = await Promise.all(part.map(async ({ id }) => await queue.getJobState(id)));
      const fresh: Unit[] = [];
      for (const [index, unit] of part.entries()) {
        const state = states[index]!;
        // A job that is done has no result any more: it is damaged or removed.
        const again = state === "completed" || (state === "failed" && retry);
        if (again) await queue.remove(unit.id);
        if (again || state === "unknown") fresh.push(unit);
      }
      await queue.addBulk(
        fresh.map(({ id, index }) => ({
          ...{ name: "unit", data: { id, index } },
          opts: { jobId: id, attempts: TRIES, backoff: { type: "exponential", delay: BACKOFF_MS, jitter: 0.5 } },
        })),
      );
      added += fresh.length;
    }
    return { added, known: open.length - added, done: done.length };
  });
}

export interface WorkOptions extends QueueOptions {
  /** Ends the worker: the unit at work is stopped and given back. */
  readonly signal?: AbortSignal;
  /** Ends when the queue has nothing left to do. Default false: waits for more. */
  readonly drain?: boolean;
  /** See LOCK_MS; for tests. */
  readonly lockMs?: number;
  readonly onUnit?: (unit: Unit, ended: "started" | "done" | "given back" | "failed", message?: string) => void;
  readonly onProgress?: (unit: Unit, step: string, share: number) => void;
}

/**
 * Takes units from the queue, one at a time, each in a process of its own, until it is stopped.
 *
 * @throws PrunelabError if the queue cannot be reached at the start; later losses are waited out.
 */
export async function workUnits(options: WorkOptions): Promise<void> {
  const { output, signal, onNotice, onUnit, onProgress, drain = false, lockMs = LOCK_MS } = options;
  const name = await waitForName(options);
  if (name === undefined) return;
  const bullmq = await loadBullmq(options.url);
  // Says at once whether the queue can be reached: a worker alone would try for ever.
  await withQueue(name, options, async () => {});
  let plan = new Map<string, Unit>();
  const unitOf = async (id: string) => {
    if (!plan.has(id)) plan = new Map((await readPlan(planPath(output))).map((unit) => [unit.id, unit]));
    return plan.get(id);
  };
  const process = async (job: Job, token?: string) => {
    const unit = await unitOf(job.data.id);
    if (!unit) throw new bullmq.UnrecoverableError(`not in ${planPath(output)}: ${job.data.id}; push its plan again`);
    onUnit?.(unit, "started");
    const { code, message } = await runInProcess({ unit, folder: output }, signal, (step, share) => {
      onProgress?.(unit, step, share);
      void job.updateProgress({ step, share }).catch(() => {});
    });
    if (code === exitCodes.done) return onUnit?.(unit, "done");
    if (signal?.aborted) {
      onUnit?.(unit, "given back");
      await job.moveToWait(token);
      throw new bullmq.WaitingError();
    }
    onUnit?.(unit, "failed", message);
    if (code === exitCodes.neverAgain) throw new bullmq.UnrecoverableError(message);
    throw new Error(message);
  };
  const worker = new bullmq.Worker(name, process, {
    connection: bullmq.connection,
    ...{ concurrency: 1, lockDuration: lockMs, stalledInterval: lockMs / 2, maxStalledCount: 3 },
  });
  let isLost = false;
  worker.on("error", (error: Error) => {
    // One line for a loss, not one for each try to come back.
    if (!isLost) onNotice?.(`the queue is lost: ${hidePassword(error.message, options.url)}; waiting for it`);
    isLost = true;
  });
  worker.on("active", () => {
    isLost = false;
  });
  const stopped = new Promise<void>((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
  await (drain ? Promise.race([stopped, drained(name, options)]) : stopped);
  await worker.close();
}

/** Runs a unit in a process of its own, and stops it with SIGTERM when asked to. */
async function runInProcess(
  order: UnitOrder,
  signal: AbortSignal | undefined,
  onProgress: (step: string, share: number) => void,
): Promise<{ code: number; message: string }> {
  const { PRUNELAB_QUEUE: _, ...env } = process.env;
  // Without the worker's own flags, such as a loader for TypeScript.
  const child = fork(builtFile("src/sweep/unit-process.js"), ["unit-process"], { env, execArgv: [] });
  let message = "";
  const stop = () => void child.kill("SIGTERM");
  signal?.addEventListener("abort", stop, { once: true });
  child.on("message", (report: UnitReport) => {
    if (report.kind === "progress") onProgress(report.step, report.share);
    else if (report.kind === "failure") message = report.message;
  });
  child.send(order);
  if (signal?.aborted) stop();
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, ended) =>
        resolve({
          code: code ?? exitCodes.tryAgain,
          message: message || `the unit's process ended by ${ended ?? `code ${code}`}`,
        }),
      );
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Resolves when nothing waits, runs or is to be tried again. */
async function drained(name: string, options: WorkOptions): Promise<void> {
  for (;;) {
    await sleep(500);
    const counts = await withQueue(name, options, (queue) =>
      queue.getJobCounts("wait", "active", "delayed", "prioritized"),
    ).catch(() => ({ lost: 1 }));
    if (Object.values(counts).every((count) => count === 0)) return;
  }
}

const planPath = (output: string): string => join(output, "plan.jsonl");

/** The folder's plan holds the units of every push, so that a worker finds each. */
async function keepPlan(units: readonly Unit[], output: string): Promise<void> {
  const path = planPath(output);
  const known = existsSync(path) ? await readPlan(path) : [];
  const ids = new Set(units.map(({ id }) => id));
  await writeFileAtomic(path, planText([...units, ...known.filter(({ id }) => !ids.has(id))]));
}

const namePath = (output: string): string => join(output, "queue.json");

/** A queue for each folder: two studies in one Redis do not mix. */
async function newName(units: readonly Unit[], output: string): Promise<string> {
  const name = `prunelab-${units[0]!.id.slice(1, 9)}-${Date.now().toString(36)}`;
  await writeFileAtomic(namePath(output), `${JSON.stringify({ name })}\n`);
  return name;
}

/** undefined where nothing was pushed yet. @throws PrunelabError where the file is damaged. */
async function readName(output: string): Promise<string | undefined> {
  const path = namePath(output);
  if (!existsSync(path)) return undefined;
  const { name } = parseJsonObject(await readFile(path, "utf8"), path);
  if (typeof name !== "string") throw new PrunelabError(`no queue's name in ${path}; remove the file and push again`);
  return name;
}

async function waitForName({ output, signal, onNotice }: WorkOptions): Promise<string | undefined> {
  for (let tries = 0; ; tries++) {
    const name = await readName(output);
    if (name !== undefined) return name;
    if (tries === 0) onNotice?.(`nothing was pushed for ${output} yet; waiting for it`);
    await sleep(1_000, undefined, signal ? { signal } : {}).catch(() => {});
    if (signal?.aborted) return undefined;
  }
}

interface Job {
  readonly data: { readonly id: string };
  updateProgress(progress: object): Promise<void>;
  moveToWait(token?: string): Promise<number>;
}

/**
 * BullMQ on the server that the address names. It is an optional peer dependency, and so are its drivers.
 *
 * @throws PrunelabError if the address is none, or a package is missing.
 */
async function loadBullmq(url: string) {
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  const isPostgres = /^postgres(ql)?:$/.test(protocol);
  if (!isPostgres && !/^rediss?:$/.test(protocol)) {
    throw new PrunelabError(
      `not a queue's address: ${hidePassword(url, url)}; give redis://host:6379 or postgres://host/database`,
    );
  }
  try {
    const bullmq = await import("bullmq");
    // Loaded by BullMQ when it connects, where a missing one would be an error without a listener.
    await import(isPostgres ? "pg" : "ioredis");
    const { Queue, Worker } = isPostgres ? bullmq.withBackend(bullmq.createPostgresBackend) : bullmq;
    const connection = isPostgres ? { connectionString: url, migrate: true } : { url, maxRetriesPerRequest: null };
    const { UnrecoverableError, WaitingError } = bullmq;
    return {
      Queue: Queue as typeof bullmq.Queue,
      Worker: Worker as typeof bullmq.Worker,
      connection,
      UnrecoverableError,
      WaitingError,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new PrunelabError(
      `a package of the queue is not installed; run npm install ${isPostgres ? "bullmq pg" : "bullmq ioredis"}: ${messageOf(error)}`,
    );
  }
}

/** Opens the queue for one piece of work. @throws PrunelabError if it does not answer within REACH_MS. */
async function withQueue<T>(
  name: string,
  { url }: Pick<QueueOptions, "url">,
  work: (queue: Queue) => Promise<T>,
): Promise<T> {
  const queue = await openQueue(name, url);
  try {
    return await work(queue);
  } catch (error) {
    throw error instanceof PrunelabError ? error : unreachable(url, error);
  } finally {
    await closeQueue(queue);
  }
}

/** Tries again until REACH_MS are over: PostgreSQL's driver gives up at once, Redis's never. */
async function openQueue(name: string, url: string): Promise<Queue> {
  const { Queue: BullQueue, connection } = await loadBullmq(url);
  const end = performance.now() + REACH_MS;
  for (;;) {
    const queue = new BullQueue(name, { connection });
    let last: unknown = new Error(`no answer within ${REACH_MS / 1000} s`);
    queue.on("error", (error) => {
      last = error;
    });
    const limit = new AbortController();
    const late = sleep(end - performance.now(), undefined, { signal: limit.signal }).then(() => Promise.reject(last));
    try {
      await Promise.race([queue.waitUntilReady(), late]);
      return queue;
    } catch (error) {
      await closeQueue(queue);
      if (performance.now() + 1_000 > end) throw unreachable(url, error);
      await sleep(1_000);
    } finally {
      limit.abort();
    }
  }
}

/** A connection that never was cannot say goodbye. */
async function closeQueue(queue: Queue): Promise<void> {
  await Promise.race([queue.close(), sleep(1_000)]).catch(() => {});
  await Promise.race([queue.disconnect(), sleep(1_000)]).catch(() => {});
}

function unreachable(url: string, error: unknown): PrunelabError {
  const why = hidePassword(messageOf(error), url);
  return new PrunelabError(
    `cannot reach the queue: ${hidePassword(url, url)}: ${why}; start it, or correct the address`,
  );
}

/** The text without the address's password, in whatever spelling. */
export function hidePassword(text: string, url: string): string {
  const raw = /^[^:]*:\/\/[^/@]*:([^/]*)@/.exec(url)?.[1];
  if (!raw) return text;
  let plain = raw;
  try {
    plain = decodeURIComponent(raw);
  } catch {
    // Not encoded.
  }
  return text.replaceAll(raw, "***").replaceAll(plain, "***");
}

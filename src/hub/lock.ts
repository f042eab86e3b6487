/** Lets one process at a time work on a path, and takes over what a dead one left locked. */
import { open, readFile, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { asWriteError, makeFolder } from "../base/atomic.ts";

// proper-lockfile, the usual library, had its last release in 2021 and goes by modification times alone: it calls a lock stale when the
// holder's event loop, or the laptop, has slept a while, and makes a killed run wait that long.

/** Who holds a lock. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
}

export interface LockOptions {
  /** Called once, when the lock is found held and this call begins to wait. Throw in it to give up instead. */
  readonly onWait?: ((holder: LockHolder) => void) | undefined;
  /** How long the holder's sign of life must fail to change, while we watch, for the lock to count as abandoned. */
  readonly staleAfterMs?: number;
}

interface FoundLock {
  /** Unlike any other lock's, so that a new lock of the same name is not taken for this one. */
  readonly text: string;
  readonly holder: LockHolder;
  readonly mtimeMs: number;
}

const pollMs = 100;
const signOfLifeMs = 10_000;
/** Network file systems may show a touch a minute late (NFS: acregmax). */
const staleMs = 180_000;
/** Taking over is a few system calls; a mark of it that is older was left by a process killed within them. */
const takeoverMs = 10_000;

// A file lock knows processes only; calls within this one queue here.
const queues = new Map<string, Promise<void>>();
let taken = 0;

/**
 * Runs `work` while no other `withLock` of this path runs, in this process or another. The lock is the file `<path>.lock`; it says who holds
 * it, and `work` keeps touching it, so `work` must not block the event loop for minutes.
 *
 * A lock is taken over when its process is dead, or when the file has not been touched for three minutes of our watching (its host is another, a
 * container that is gone, or its process number was given to some other program).
 *
 * @throws PrunelabError when the folder is not writable; errors of `work` and `onWait` pass through.
 */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const lockPath = `${resolve(path)}.lock`;
  let said = false;
  const onWait = (holder: LockHolder) => {
    if (!said) options.onWait?.(holder);
    said = true;
  };
  const before = queues.get(lockPath);
  if (before) onWait({ pid: process.pid, host: hostname() });
  let done!: () => void;
  const turn = (before ?? Promise.resolve()).then(() => new Promise<void>((resolveTurn) => (done = resolveTurn)));
  queues.set(lockPath, turn);
  await before;
  try {
    const text = await acquire(lockPath, onWait, options.staleAfterMs ?? staleMs);
    const signOfLife = setInterval(() => void touch(lockPath), signOfLifeMs);
    signOfLife.unref();
    try {
      return await work();
    } finally {
      clearInterval(signOfLife);
      if ((await find(lockPath))?.text === text) await rm(lockPath, { force: true });
    }
  } finally {
    done();
    if (queues.get(lockPath) === turn) queues.delete(lockPath);
  }
}

/** Who holds the lock of a path now; undefined where nobody does, or only a dead process. */
export async function lockHolder(path: string): Promise<LockHolder | undefined> {
  const found = await find(`${resolve(path)}.lock`);
  return found && !isDead(found.holder) ? found.holder : undefined;
}

/** Creates the lock file, after waiting for it to be free, and returns what it holds. */
async function acquire(lockPath: string, onWait: (holder: LockHolder) => void, staleAfterMs: number): Promise<string> {
  const text = JSON.stringify({ pid: process.pid, host: hostname(), taken: `${Date.now()}-${++taken}` });
  let seen: FoundLock | undefined;
  let seenAt = 0;
  for (;;) {
    if (await create(lockPath, text)) return text;
    const found = await find(lockPath);
    if (!found) continue;
    if (found.text !== seen?.text || found.mtimeMs !== seen.mtimeMs) {
      seen = found;
      seenAt = performance.now();
    }
    if (isDead(found.holder) || performance.now() - seenAt > staleAfterMs) {
      await removeStale(lockPath, found);
      continue;
    }
    onWait(found.holder);
    await sleep(pollMs);
  }
}

/** False where the file is there already. */
async function create(path: string, text: string): Promise<boolean> {
  try {
    makeFolder(dirname(path));
    const file = await open(path, "wx").catch((error: unknown) => {
      if (isErrno(error, "EEXIST")) return undefined;
      throw error;
    });
    if (!file) return false;
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    throw asWriteError(error, path);
  }
}

async function find(path: string): Promise<FoundLock | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    return { text, holder: parseHolder(text), mtimeMs };
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** A text that is not a lock's, such as one being written this moment, gives a holder that is never known to be dead. */
function parseHolder(text: string): LockHolder {
  try {
    const { pid, host } = JSON.parse(text) as Partial<LockHolder>;
    if (Number.isSafeInteger(pid) && pid! > 0 && typeof host === "string") return { pid: pid!, host };
  } catch {
    // Not JSON: as above.
  }
  return { pid: 0, host: "unknown" };
}

/** Whether a process of this host is gone; of another host, or without a number, it is never known. */
export function isDead({ pid, host }: LockHolder): boolean {
  if (host !== hostname() || pid === 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return isErrno(error, "ESRCH");
  }
}

/** Removes the lock if it is still the one found. Only one process at a time does so: else the second would remove the first one's new lock. */
async function removeStale(lockPath: string, found: FoundLock): Promise<void> {
  const mark = `${lockPath}.takeover`;
  if (!(await create(mark, ""))) {
    const age = await stat(mark).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > takeoverMs) await rm(mark, { force: true });
    await sleep(pollMs);
    return;
  }
  try {
    const now = await find(lockPath);
    if (now?.text === found.text && now.mtimeMs === found.mtimeMs) await rm(lockPath, { force: true });
  } finally {
    await rm(mark, { force: true });
  }
}

/** The file may be gone, taken over after this process was stopped for long. */
async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

function isErrno(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === code;
}

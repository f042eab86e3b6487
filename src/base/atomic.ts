/** Writes a file so that no half-written one is ever seen under its final name. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { access, constants, type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, PrunelabError } from "../errors.ts";

const adviceByCode: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space and run again",
  EDQUOT: "the disk quota is used up; free some space and run again",
  EFBIG: "the file is larger than this file system or process may write",
  EACCES: "permission denied; choose another folder or change its permissions",
  EPERM: "operation not permitted; choose another folder or change its permissions",
  EROFS: "the file system is read-only; choose another folder",
  ENOENT: "the folder is not there and cannot be made; choose another path",
  ENOTDIR: "a part of the path is a file, not a folder; choose another path",
  EISDIR: "a folder of that name is in the way; choose another path",
  EEXIST: "a file is in the way of a folder; choose another path",
  ENAMETOOLONG: "the name is too long; choose a shorter one",
  EMFILE: "too many files are open; close some and run again",
};

/** A failure to write, as the sentence a user needs; anything that is not a failure of the file system comes back as it is. */
export function asWriteError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const syscall = (error as NodeJS.ErrnoException | null)?.syscall;
  if (error instanceof PrunelabError || typeof code !== "string" || typeof syscall !== "string") return error;
  return new PrunelabError(`cannot write ${path}: ${adviceByCode[code] ?? messageOf(error)}`, { cause: error });
}

/**
 * Creates or replaces `path` with what `fill` writes to the handle: into a temporary file beside it, synced to disk, then
 * renamed. The folder is made where it is missing. When anything fails, `path` is as it was and the temporary is gone;
 * a process that is killed leaves at most a `.tmp` file that no reader takes for the real one.
 *
 * @throws PrunelabError when the disk is full, the folder is not writable, and the like; an error of `fill`'s own passes through.
 */
export async function createFileAtomic(path: string, fill: (handle: FileHandle) => Promise<void>): Promise<void> {
  // Not by pid: containers that share a folder may all have the same one.
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  let handle: FileHandle | undefined;
  try {
    makeFolder(dirname(path));
    handle = await open(temporary, "wx+");
    await fill(handle);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, path);
  } catch (error) {
    await handle?.close().catch(() => {});
    await rm(temporary, { force: true }).catch(() => {});
    throw asWriteError(error, path);
  }
}

/**
 * Makes a folder and those above it, where they are missing. Node's own recursive mkdir never ends on Linux where a parent is there but takes no
 * folders, such as /proc: that answers ENOENT, and Node tries again.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || parent === path || existsSync(parent)) throw error;
    makeFolder(parent);
    makeFolder(path);
  }
}

/**
 * Makes a folder that much work will end in, where it is missing, so that a path which cannot be written is told before the work.
 *
 * @throws PrunelabError if it cannot be made or written.
 */
export async function prepareFolder(path: string): Promise<void> {
  try {
    makeFolder(path);
    await access(path, constants.W_OK);
  } catch (error) {
    throw asWriteError(error, path);
  }
}

/** Writes `data` to `path` in the same way as {@link createFileAtomic}; text as UTF-8. */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  await createFileAtomic(path, (handle) => handle.writeFile(data));
}

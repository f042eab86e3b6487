/** Writes a notebook as Jupyter does, whole or not at all. */
import { randomUUID } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { makeFolder } from "../../src/base/atomic.ts";
import { messageOf } from "../errors.ts";
import { formatExact } from "./exact-json.ts";
import { type Cell, FIRST_MINOR_WITH_IDS, isJsonType, isObject, type Notebook, type Output } from "./notebook.ts";
import { RunError } from "./run-error.ts";

/** The text of the file: keys sorted, one space of indent, long texts by lines, as nbformat writes it. */
export function formatNotebook(notebook: Notebook): string {
  const withIds = notebook.nbformat_minor >= FIRST_MINOR_WITH_IDS;
  const cells = notebook.cells.map((cell) => splitCell(withIds && !cell.id ? { ...cell, id: newCellId() } : cell));
  return `${formatExact(sortKeys({ ...notebook, cells }))}\n`;
}

export function newCellId(): string {
  return randomUUID().slice(0, 8);
}

export interface NotebookFile {
  /** Throws RunError when it cannot be written; the file is then as it was. */
  write(notebook: Notebook): void;
}

/** Throws RunError at once where writing would fail later. */
export function openNotebookFile(path: string): NotebookFile {
  checkWritable(path);
  let target = realpath(path);
  const stamp = () => {
    const found = statSync(target, { throwIfNoEntry: false });
    return found && `${found.mtimeMs} ${found.size} ${found.ino}`;
  };
  let seen = stamp();
  return {
    write: (notebook) => {
      if (stamp() !== seen) {
        const aside = target.replace(/(\.ipynb)?$/, ".run.ipynb");
        process.stderr.write(`prunelab: someone else changed ${path} while it ran; the outputs go to ${aside}\n`);
        target = aside;
      }
      try {
        replaceFile(target, formatNotebook(notebook));
      } catch (error) {
        throw cannotWrite(path, error);
      }
      seen = stamp();
    },
  };
}

/** Throws RunError where a file of that path could not be written, such as in a read-only folder; makes the folder. */
export function checkWritable(path: string): void {
  const target = realpath(path);
  try {
    makeFolder(dirname(target));
    const found = statSync(target, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw new Error("a folder of that name is in the way");
    if (found && (found.mode & 0o222) === 0) throw new Error("the file is read-only");
    const probe = temporaryBeside(target);
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** Throws RunError. */
export function writeReport(path: string, text: string): void {
  try {
    replaceFile(path, text);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** Into a temporary file beside it, to disk, then renamed; throws the file system's error, with `path` as it was. */
function replaceFile(path: string, text: string): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  const temporary = temporaryBeside(path);
  try {
    const fd = openSync(temporary, "wx");
    try {
      writeFileSync(fd, text);
      if (mode !== undefined) fchmodSync(fd, mode & 0o777);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function cannotWrite(path: string, error: unknown): RunError {
  const advice: Record<string, string> = {
    EACCES: "permission denied; choose another place with --output, or change the permissions",
    EPERM: "operation not permitted; choose another place with --output, or change the permissions",
    EROFS: "the file system is read-only; choose another place with --output",
    ENOSPC: "the disk is full; free some space and run again",
    ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    EEXIST: "a file is in the way of a folder; choose another path",
  };
  const reason = advice[String((error as NodeJS.ErrnoException).code)] ?? messageOf(error);
  return new RunError("write", `cannot write ${path}: ${reason}`);
}

function temporaryBeside(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${randomUUID().slice(0, 8)}.tmp`);
}

/** A link is followed, so that it stays a link. */
function realpath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function splitCell(cell: Cell): Cell {
  const split: Record<string, unknown> = { ...cell, source: lines(cell.source) };
  if (cell.cell_type === "code") split.outputs = cell.outputs.map(splitOutput);
  return split as Cell;
}

function splitOutput(output: Output): Output {
  const split: Output = { ...output };
  if (typeof split.text === "string") split.text = lines(split.text);
  if (isObject(split.data)) {
    const entries = Object.entries(split.data);
    split.data = Object.fromEntries(
      entries.map(([type, data]) => [type, typeof data === "string" && !isJsonType(type) ? lines(data) : data]),
    );
  }
  return split;
}

function lines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+/g) ?? [];
}

/** As they are in the file, all the way down. */
export function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]));
}

/** What a process that was started from a snapshot finds in it. */
import type { IScriptSnapshot, SourceFile } from "typescript";

/** With what the language service adds to it. */
export type SnapshotFile = SourceFile & { scriptSnapshot: IScriptSnapshot };

interface SnapshotState {
  ts: typeof import("typescript");
  /** Declarations of the language and of Node, read and bound, by path. */
  files: ReadonlyMap<string, SnapshotFile>;
}

/** snapshot-script.cts sets it. */
const holder = globalThis as { prunelabSnapshot?: SnapshotState };
const state = holder.prunelabSnapshot;
delete holder.prunelabSnapshot;

export function snapshotTypescript(): typeof import("typescript") | undefined {
  return state?.ts;
}

export function snapshotFiles(): SnapshotState["files"] | undefined {
  return state?.files;
}

/** Measures the peak of the resident memory of a process and all that it started. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

export interface MemoryMeter {
  /** A new measurement begins. */
  reset(): void;
  /** Bytes since the reset, added up over the processes; undefined where the platform does not tell. */
  peakBytes(): number | undefined;
  close(): void;
}

const LINUX_INTERVAL_MS = 200;
const PS_INTERVAL_MS = 1000;

export function openMemoryMeter(pid: number): MemoryMeter {
  if (process.platform === "linux") return openProcMeter(pid);
  if (process.platform === "win32") return { reset: () => {}, peakBytes: () => undefined, close: () => {} };
  return openPsMeter(pid);
}

/** Samples, and reads the kernel's own high-water marks, which miss no peak of a process that is still there. */
function openProcMeter(pid: number): MemoryMeter {
  let peak = 0;
  let marksAreReset = false;
  const sum = (field: string) => treeOf(pid, procParents()).reduce((total, each) => total + procField(each, field), 0);
  const sample = () => {
    peak = Math.max(peak, sum("VmRSS"));
  };
  const timer = setInterval(sample, LINUX_INTERVAL_MS);
  timer.unref();
  return {
    reset: () => {
      peak = 0;
      // Only processes whose mark was set back count by it; https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
      marksAreReset = treeOf(pid, procParents()).every(resetMark);
    },
    peakBytes: () => {
      sample();
      return Math.max(peak, marksAreReset ? sum("VmHWM") : 0) || undefined;
    },
    close: () => clearInterval(timer),
  };
}

function resetMark(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
    return true;
  } catch {
    return false;
  }
}

/** Parents by process. */
function procParents(): Map<number, number> {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The command, in parentheses, may hold anything.
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It has ended.
    }
  }
  return parents;
}

function procField(pid: number, field: string): number {
  try {
    const match = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** `ps` takes a moment, so a short cell gets the latest sample before it. */
function openPsMeter(pid: number): MemoryMeter {
  let peak: number | undefined;
  let latest: number | undefined;
  const sample = () =>
    execFile("ps", ["-A", "-o", "pid=,ppid=,rss="], (error, stdout) => {
      if (error) return;
      latest = sumOfPs(stdout, pid);
      peak = Math.max(peak ?? 0, latest);
    });
  sample();
  const timer = setInterval(sample, PS_INTERVAL_MS);
  timer.unref();
  return {
    reset: () => {
      peak = latest;
    },
    peakBytes: () => peak,
    close: () => clearInterval(timer),
  };
}

/** Bytes of a process and its descendants, out of lines of pid, parent and kibibytes. */
export function sumOfPs(lines: string, root: number): number {
  const rows = lines.split("\n").flatMap((line) => {
    const [pid, parent, kibibytes] = line.trim().split(/\s+/).map(Number);
    return pid === undefined || parent === undefined || kibibytes === undefined ? [] : [{ pid, parent, kibibytes }];
  });
  const tree = new Set(treeOf(root, new Map(rows.map(({ pid, parent }) => [pid, parent]))));
  return rows.reduce((sum, { pid, kibibytes }) => sum + (tree.has(pid) ? kibibytes * 1024 : 0), 0);
}

function treeOf(root: number, parents: ReadonlyMap<number, number>): number[] {
  const tree = [root];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid && !tree.includes(child)) tree.push(child);
  }
  return tree;
}

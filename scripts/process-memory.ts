/** The most memory that a process and those it started hold together, read from /proc; zero where there is none. */
import { readdirSync, readFileSync } from "node:fs";

/** Looks ten times a second, until the returned function is called, which gives the peak in bytes. */
export function watchMemory(pid: number): () => number {
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, memoryOf(pid));
  }, 100);
  return () => {
    clearInterval(timer);
    return peak;
  };
}

function memoryOf(root: number): number {
  const parents = new Map<number, number>();
  try {
    for (const name of readdirSync("/proc")) if (/^\d+$/.test(name)) parents.set(Number(name), parentOf(Number(name)));
  } catch {
    return 0;
  }
  const isBelow = (pid: number): boolean => pid === root || (parents.has(pid) && isBelow(parents.get(pid)!));
  return [...parents.keys()].filter(isBelow).reduce((sum, pid) => sum + residentBytes(pid), 0);
}

function parentOf(pid: number): number {
  // The name in brackets may hold spaces.
  return Number(read(pid, "stat").split(") ").at(-1)?.split(" ")[1] ?? 0);
}

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(read(pid, "status"))?.[1] ?? 0);
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // It has ended.
  }
}

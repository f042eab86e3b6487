/** The kernel's command: what a kernelspec starts. */

import { KernelError } from "../errors.ts";
import { readConnection } from "../protocol/connection.ts";
import { runInstall, runUninstall } from "./install.ts";
import { historyPath } from "./jupyter-paths.ts";
import { startServer } from "./server.ts";

const PARENT_INTERVAL_MS = 1000;
const USAGE = "usage: main.js run [--no-check] <connection file> | install | uninstall";

async function run(args: string[]): Promise<void> {
  const noCheck = args[0] === "--no-check";
  // What comes after it is for others: jupyter run gives the kernel the names of the files that it is going to send.
  const path = noCheck ? args[1] : args[0];
  if (path === undefined || path.startsWith("-")) throw new KernelError(USAGE);
  const check = !noCheck && process.env.PRUNELAB_CHECK !== "0";
  const server = await startServer(readConnection(path), { check, historyPath: historyPath() });
  process.on("SIGINT", server.interrupt);
  const terminated = new Promise<void>((resolve) => {
    process.on("SIGTERM", resolve);
    process.on("SIGHUP", resolve);
  });
  await Promise.race([server.ended, terminated, parentGone()]);
  await server.close();
}

/** Jupyter names its process where a kernel should not outlive it; one that is killed cannot say goodbye. */
function parentGone(): Promise<void> {
  const parent = process.ppid;
  return new Promise((resolve) => {
    if (process.env.JPY_PARENT_PID === undefined) return;
    setInterval(() => process.ppid !== parent && resolve(), PARENT_INTERVAL_MS).unref();
  });
}

async function main([command, ...args]: string[]): Promise<void> {
  if (command === "install") return runInstall(args);
  if (command === "uninstall") return runUninstall(args);
  if (command !== "run") throw new KernelError(USAGE);
  return run(args);
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof KernelError ? error.message : (error as Error).stack}\n`);
    process.exit(1);
  },
);

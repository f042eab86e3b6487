/** The kernel's command: what a kernelspec starts. */
import { parseArgs } from "node:util";
import { readConnection } from "./connection.ts";
import { KernelError } from "./errors.ts";
import { runInstall, runUninstall } from "./install.ts";
import { historyPath } from "./jupyter-paths.ts";
import { startServer } from "./server.ts";

const USAGE = "usage: main.js run [--no-check] <connection file> | install | uninstall";

async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    options: { "no-check": { type: "boolean" } },
    allowPositionals: true,
  });
  const [path] = positionals;
  if (path === undefined) throw new KernelError(USAGE);
  const check = !values["no-check"] && process.env.PRUNELAB_CHECK !== "0";
  const server = await startServer(readConnection(path), { check, historyPath: historyPath() });
  process.on("SIGINT", server.interrupt);
  const terminated = new Promise<void>((resolve) => {
    process.on("SIGTERM", resolve);
    process.on("SIGHUP", resolve);
  });
  await Promise.race([server.ended, terminated]);
  await server.close();
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

/** Finds this package's own files, whether its code runs from `src/` or, built, from `dist/src/`. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds this package's package.json. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}

/** The path of a built file, such as `kernel/cell/worker.js`: threads and processes always run from the build, also under tsx and in tests. */
export function builtFile(name: string): string {
  return join(packageRoot(), "dist", name);
}

/** This package's version. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as { version: string }).version;
}

/** Finds the kernel's built files: its thread and its processes always run from the build, also under tsx and in tests. */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** The path of a file of this folder in the build, such as `main.js`. */
export function buildPath(name: string): string {
  const folder = extname(import.meta.url) === ".ts" ? "../dist/kernel/" : "./";
  return fileURLToPath(new URL(folder + name, import.meta.url));
}

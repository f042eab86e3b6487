/** The compiler: one for checking, for writing JavaScript and for reading cells. */
import { createRequire } from "node:module";
import { snapshotTypescript } from "./snapshot-state.ts";

// Not by `import`, which would first look through nine megabytes for the names of exports.
const ts: typeof import("typescript") = snapshotTypescript() ?? createRequire(import.meta.url)("typescript");

export { ts };

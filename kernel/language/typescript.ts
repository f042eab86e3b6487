/** The compiler that tslab checks with; transpile.ts uses it too, so that one compiler is in memory and agrees with itself. */
import { createRequire } from "node:module";

export const requireHere: NodeJS.Require = createRequire(import.meta.url);

// Its types are those of TypeScript itself.
const ts: typeof import("typescript") = requireHere("@tslab/typescript-for-tslab");

export { ts };

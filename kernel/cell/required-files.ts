/** Follows the user's own files that were loaded by require: one that changed, or that requires one that did, is forgotten. */
import { statSync } from "node:fs";

export interface RequiredFiles {
  /** Forgets what is stale, and returns its paths. */
  forgetChanged(): string[];
  /** To be called after something was loaded. */
  look(): void;
  /** Whether a value is what a CommonJS module exports. */
  isExports(value: unknown): boolean;
}

export function createRequiredFiles({ cache }: NodeJS.Require): RequiredFiles {
  const modifiedMs = new Map<string, number | undefined>();
  const loaded = () => Object.keys(cache).filter((path) => !path.includes("/node_modules/"));
  return {
    forgetChanged: () => {
      const paths = loaded();
      const stale = new Set(paths.filter((path) => modifiedMs.has(path) && modified(path) !== modifiedMs.get(path)));
      for (let before = -1; before !== stale.size; ) {
        before = stale.size;
        for (const path of paths)
          if (cache[path]?.children.some(({ filename }) => stale.has(filename))) stale.add(path);
      }
      for (const path of stale) {
        delete cache[path];
        modifiedMs.delete(path);
      }
      return [...stale];
    },
    look: () => {
      for (const path of loaded()) if (!modifiedMs.has(path)) modifiedMs.set(path, modified(path));
    },
    isExports: (value) => {
      if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
      return Object.values(cache).some((module) => module?.exports === value);
    },
  };
}

function modified(path: string): number | undefined {
  return statSync(path.replace(/\?.*$/, ""), { throwIfNoEntry: false })?.mtimeMs;
}

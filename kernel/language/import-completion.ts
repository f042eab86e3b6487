/** Completes the module name in an import: Node's modules, installed packages, files beside the notebook. */
import { readdirSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join } from "node:path";
import { toCodePoints } from "../protocol/code-points.ts";
import type { Completions } from "./language-messages.ts";

const IN_IMPORT = /(?:\bfrom\s*|\bimport\s*|\bimport\s*\(\s*|\brequire\s*\(\s*)(["'`])([^"'`\n]*)$/;

/** Nothing where the cursor (in UTF-16 units) is not in the name of a module. */
export function completeImport(source: string, at: number, folder: string): Completions | undefined {
  const match = IN_IMPORT.exec(source.slice(0, at));
  if (!match) return undefined;
  const typed = match[2] ?? "";
  const names =
    /^\.{0,2}(\/|$)/.test(typed) && typed !== "" ? files(typed, folder) : [...packages(folder), ...nodeModules()];
  const items = [...new Set(names)]
    .filter((name) => name.startsWith(typed))
    .sort()
    .map((text) => ({ text, kind: text.endsWith("/") ? "directory" : "module", signature: "" }));
  return { start: toCodePoints(source, at - typed.length), end: toCodePoints(source, at), items };
}

function nodeModules(): string[] {
  return builtinModules
    .filter((name) => !name.startsWith("_"))
    .map((name) => (name.includes(":") ? name : `node:${name}`));
}

function files(typed: string, folder: string): string[] {
  const parent = typed.slice(0, typed.lastIndexOf("/") + 1) || `${typed}/`;
  return list(join(folder, parent)).flatMap(({ name, isFolder }) => {
    if (name.startsWith(".") || name === "node_modules") return [];
    if (isFolder) return [`${parent}${name}/`];
    return /\.(ts|mts|cts|js|mjs|cjs|json)$/.test(name) ? [parent + name] : [];
  });
}

function packages(start: string): string[] {
  const found: string[] = [];
  for (let folder = start; ; folder = dirname(folder)) {
    const modules = join(folder, "node_modules");
    for (const { name } of list(modules)) {
      if (name.startsWith("@")) found.push(...list(join(modules, name)).map((inner) => `${name}/${inner.name}`));
      else if (!name.startsWith(".")) found.push(name);
    }
    if (folder === dirname(folder)) return found;
  }
}

function list(folder: string): { name: string; isFolder: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      isFolder: entry.isDirectory(),
    }));
  } catch {
    return [];
  }
}

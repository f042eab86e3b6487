/** Counts files, lines and arrows between folders, and says which imports break the layout. Usage: npx tsx scripts/tools/house.ts */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { packageRoot } from "../../src/base/package-root.ts";

interface SourceFile {
  /** From the package's root, with `/`. */
  readonly path: string;
  readonly lines: number;
  /** Paths of files in the repository. */
  readonly imports: readonly string[];
}

/** What runs in the repository, without tests, their helpers and what is built. */
export function sourceFiles(): SourceFile[] {
  const root = packageRoot();
  const names = ["src", "kernel", "scripts"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  );
  return names
    .filter((name) => /\.ts$/.test(name) && !/\.(test|test-helper|d)\.ts$/.test(name) && !name.includes("wasm"))
    .sort()
    .map((name) => {
      const text = readFileSync(join(root, name), "utf8");
      const imports = [...text.matchAll(/^(?:import|export)\b[^;"]*? from "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm)];
      const paths = imports.map(([, named, dynamic]) => resolve("/", dirname(name), named ?? dynamic ?? "").slice(1));
      return { path: name.replaceAll("\\", "/"), lines: text.split("\n").length - 1, imports: paths };
    });
}

/** The folder that a file belongs to: `src/hub`, `kernel/cell`; a file at the root of `src` by itself. */
export function folderOf(path: string): string {
  const parts = path.split("/");
  return parts.length > 2 ? parts.slice(0, 2).join("/") : path;
}

/** Pairs of folders of which files of the first import files of the second, each with one such import. */
export function arrows(files: readonly SourceFile[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { path, imports } of files) {
    for (const imported of imports) {
      const [from, to] = [folderOf(path), folderOf(imported)];
      if (from !== to && !found.has(`${from} -> ${to}`)) found.set(`${from} -> ${to}`, `${path} imports ${imported}`);
    }
  }
  return found;
}

/** Imports between `kernel/`, `src/` and `scripts/` that the layout forbids, as sentences. */
export function forbidden(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, imports }) =>
    imports
      .filter((to) => {
        if (path.startsWith("src/")) return !to.startsWith("src/");
        if (!path.startsWith("kernel/")) return false;
        return to.startsWith("scripts/") || (to.startsWith("src/") && !to.startsWith("src/base/"));
      })
      .map((to) => `${path} imports ${to}`),
  );
}

/** The arrows between folders that are part of a circle, each with one import; none where imports go one way. */
export function circles(files: readonly SourceFile[]): string[] {
  let left = [...arrows(files)].map(([arrow, example]) => ({ ends: arrow.split(" -> "), example }));
  for (;;) {
    // A folder that imports nothing of what is left, or that nothing of it imports, is in no circle.
    const from = new Set(left.map(({ ends }) => ends[0]));
    const to = new Set(left.map(({ ends }) => ends[1]));
    const kept = left.filter(({ ends }) => from.has(ends[1]) && to.has(ends[0]));
    if (kept.length === left.length) return left.map(({ example }) => example);
    left = kept;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const files = sourceFiles();
  const lines = files.map((file) => file.lines).sort((a, b) => a - b);
  const total = lines.reduce((sum, count) => sum + count, 0);
  console.log(`${files.length} files, ${total} lines, median ${lines[lines.length >> 1]}, at most ${lines.at(-1)}`);
  const folders = new Map<string, SourceFile[]>();
  for (const file of files) folders.set(folderOf(file.path), [...(folders.get(folderOf(file.path)) ?? []), file]);
  for (const [folder, inside] of folders) {
    const own = inside.reduce((sum, file) => sum + file.lines, 0);
    if (inside.length > 1)
      console.log(`${folder.padEnd(18)}${String(inside.length).padStart(4)}${String(own).padStart(7)}`);
  }
  console.log(`${folders.size} folders and files at a root, ${arrows(files).size} arrows between them`);
  for (const line of files.filter((file) => file.lines > 400)) console.log(`long: ${line.path} ${line.lines}`);
  for (const line of forbidden(files)) console.log(`forbidden: ${line}`);
  for (const line of circles(files)) console.log(`in a circle: ${line}`);
}

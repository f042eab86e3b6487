/** Notebooks for tests. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { CodeCell, Notebook } from "./notebook.ts";

/** A folder that is gone after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-run-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A code cell, with tags before a bar: `raises-exception|throw 1`. */
export function codeCell(text: string): CodeCell {
  const [, tags, source] = /^(?:([\w, -]+)\|)?([\s\S]*)$/.exec(text) as unknown as [string, string | undefined, string];
  const metadata = tags === undefined ? {} : { tags: tags.split(",") };
  return { cell_type: "code", source, metadata, outputs: [], execution_count: null };
}

/** Texts become code cells, but for those that begin with `#`. */
export function notebookOf(...cells: string[]): Notebook {
  return {
    cells: cells.map((text) =>
      text.startsWith("#") ? { cell_type: "markdown", source: text, metadata: {} } : codeCell(text),
    ),
    metadata: { kernelspec: { name: "prunelab", display_name: "TypeScript", language: "typescript" } },
    nbformat: 4,
    nbformat_minor: 5,
  };
}

export function writeNotebookFile(folder: string, name: string, notebook: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof notebook === "string" ? notebook : JSON.stringify(notebook));
  return path;
}

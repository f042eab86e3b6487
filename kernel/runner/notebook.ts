/** Reads a notebook (nbformat 4) and checks what a run relies on; https://nbformat.readthedocs.io/en/latest/format_description.html */
import { readFileSync } from "node:fs";
import { messageOf } from "../errors.ts";
import { ExactNumber, parseExact } from "./exact-json.ts";
import { RunError } from "./run-error.ts";

export type Json = Record<string, unknown>;

/** Texts of several lines are one string here, whatever the file has. */
export interface Output extends Json {
  output_type: string;
}

interface BaseCell extends Json {
  source: string;
  metadata: Json;
}

export interface CodeCell extends BaseCell {
  cell_type: "code";
  outputs: Output[];
  execution_count: number | null;
}

export interface TextCell extends BaseCell {
  cell_type: "markdown" | "raw";
}

export type Cell = CodeCell | TextCell;

export interface Notebook extends Json {
  cells: Cell[];
  metadata: Json;
  nbformat: 4;
  nbformat_minor: number;
}

/** The first minor version whose cells have ids. */
export const FIRST_MINOR_WITH_IDS = 5;

/** Throws RunError with one sentence when it is not a notebook that this kernel can run. */
export function readNotebook(path: string): Notebook {
  const value = parse(path);
  const bad = (what: string) => new RunError("notebook", `${what}: ${path}`);
  if (!isObject(value)) throw bad("not a notebook; needs a JSON object");
  if (value.nbformat !== 4) {
    const found = value.nbformat === undefined ? "none" : JSON.stringify(value.nbformat);
    throw new RunError(
      "notebook",
      `unsupported nbformat; needs 4: ${path}: ${found}; open and save it in JupyterLab, or use \`jupyter nbconvert --to notebook\``,
    );
  }
  if (!Array.isArray(value.cells)) throw bad("not a notebook; needs a list of cells");
  if (value.metadata !== undefined && !isObject(value.metadata)) throw bad("metadata of the notebook is not an object");
  const metadata = (value.metadata as Json | undefined) ?? {};
  checkLanguage(metadata, path);
  const cells = value.cells.map((cell, i, all) => parseCell(cell, `cell ${i + 1} of ${all.length}`, path));
  if (!cells.some(isCode)) throw bad(cells.length === 0 ? "notebook has no cells" : "notebook has no code cells");
  const minor = Number.isInteger(value.nbformat_minor) ? (value.nbformat_minor as number) : 0;
  return { ...value, cells, metadata, nbformat: 4, nbformat_minor: minor };
}

export function isCode(cell: Cell): cell is CodeCell {
  return cell.cell_type === "code";
}

export function hasTag(cell: Cell, tag: string): boolean {
  return Array.isArray(cell.metadata.tags) && cell.metadata.tags.includes(tag);
}

/** Whether data of that type is JSON in a notebook, and not text. */
export function isJsonType(type: string): boolean {
  return type === "application/json" || type.endsWith("+json");
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}

function parse(path: string): unknown {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw new RunError("notebook", `no such notebook: ${path}`);
    if (code === "EISDIR") {
      throw new RunError(
        "notebook",
        `notebook is a folder: ${path}; name the notebooks in it, such as ${path}/*.ipynb`,
      );
    }
    throw new RunError("notebook", `cannot read notebook: ${path}: ${messageOf(error)}`);
  }
  try {
    return parseExact(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new RunError("notebook", `notebook is not JSON: ${path}: ${messageOf(error)}`);
  }
}

/** A notebook that does not say what it is for is taken for ours. */
function checkLanguage({ kernelspec, language_info: info }: Json, path: string): void {
  const { name, language } = isObject(kernelspec) ? kernelspec : {};
  const said = language ?? (isObject(info) ? info.name : undefined);
  if (name === "prunelab" || said === "typescript" || (name === undefined && said === undefined)) return;
  const found = [name, said].filter((part) => part !== undefined).join(", ");
  throw new RunError(
    "notebook",
    `notebook is for another kernel: ${path}: ${found}; prunelab runs TypeScript (kernelspec prunelab)`,
  );
}

function parseCell(value: unknown, place: string, path: string): Cell {
  const bad = (what: string) => new RunError("notebook", `${what}: ${path}: ${place}`);
  if (!isObject(value)) throw bad("cell is not an object");
  const { cell_type: type, metadata = {} } = value;
  if (type !== "code" && type !== "markdown" && type !== "raw") throw bad("unknown cell_type");
  const source = joined(value.source);
  if (source === undefined) throw bad("cell has an invalid source; needs text or a list of texts");
  if (!isObject(metadata)) throw bad("cell metadata is not an object");
  if (type !== "code") return { ...value, cell_type: type, source, metadata };
  const outputs = Array.isArray(value.outputs) ? value.outputs : [];
  if (!outputs.every((output) => isObject(output) && typeof output.output_type === "string")) {
    throw bad("cell has an invalid output");
  }
  const count = typeof value.execution_count === "number" ? value.execution_count : null;
  return {
    ...value,
    cell_type: type,
    source,
    metadata,
    outputs: (outputs as Output[]).map(joinOutput),
    execution_count: count,
  };
}

function joinOutput(output: Output): Output {
  const copy = { ...output };
  if (copy.text !== undefined) copy.text = joined(copy.text) ?? "";
  if (isObject(copy.data)) {
    const entries = Object.entries(copy.data);
    copy.data = Object.fromEntries(
      entries.map(([type, data]) => [type, isJsonType(type) ? data : (joined(data) ?? data)]),
    );
  }
  return copy;
}

/** nbformat's "multiline string". */
function joined(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((line) => typeof line === "string")) return value.join("");
  return undefined;
}

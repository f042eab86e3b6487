/** Sets a notebook's parameters as papermill does, in a cell behind the one tagged `parameters`, after checking their types. */

import { ts } from "../language/typescript.ts";
import type { LanguageService } from "../server/language-service.ts";
import { checkCells } from "./check-cells.ts";
import { type CodeCell, FIRST_MINOR_WITH_IDS, hasTag, isCode, type Notebook } from "./notebook.ts";
import { INJECTED_TAG, otherReadings, type Parameter, removeInjected, toLiteral, toRecord } from "./parameters.ts";
import { RunError } from "./run-error.ts";
import { newCellId } from "./write-notebook.ts";

interface Known {
  name: string;
  keyword: "const" | "let";
  /** As the cell says it, else as the compiler finds it. */
  type: string;
}

/** The names that the cell tagged `parameters` sets; none if there is no such cell. */
export function parameterNames(notebook: Notebook): string[] {
  const cell = parametersCell(notebook);
  return cell ? declarations(cell.source).map(({ name }) => name) : [];
}

/** Throws RunError where a type is wrong; names must be among `parameterNames`. */
export async function injectParameters(
  language: LanguageService,
  notebook: Notebook,
  parameters: readonly Parameter[],
  path: string,
): Promise<void> {
  removeInjected(notebook);
  const cell = parametersCell(notebook) as CodeCell;
  const known = await learnTypes(language, notebook, cell, path);
  const lines: string[] = [];
  const values: Record<string, unknown> = {};
  for (const { name, candidates } of parameters) {
    const { keyword, type } = known.find((each) => each.name === name) as Known;
    const value = await firstThatFits(language, name, type, candidates, describe(known), path);
    values[name] = toRecord(value);
    lines.push(await declare(language, keyword, name, type, toLiteral(value)));
  }
  const injected: CodeCell = {
    cell_type: "code",
    ...(notebook.nbformat_minor >= FIRST_MINOR_WITH_IDS && { id: newCellId() }),
    metadata: { tags: [INJECTED_TAG] },
    source: ["// Parameters", ...lines].join("\n"),
    outputs: [],
    execution_count: null,
  };
  notebook.cells.splice(notebook.cells.indexOf(cell) + 1, 0, injected);
  notebook.metadata.prunelab = { parameters: values };
}

function parametersCell(notebook: Notebook): CodeCell | undefined {
  return notebook.cells.filter(isCode).find((cell) => hasTag(cell, "parameters"));
}

/** Makes the checker know the cells up to the parameters, which are as wide as `let` makes them. */
async function learnTypes(
  language: LanguageService,
  notebook: Notebook,
  cell: CodeCell,
  path: string,
): Promise<Known[]> {
  const cells = notebook.cells.filter(isCode);
  await checkCells(language, cells.slice(0, cells.indexOf(cell)));
  const planned = await language.plan(asLet(cell.source), "parameters.ts", true);
  if ("error" in planned) {
    throw new RunError("options", `the cell tagged parameters has an error: ${path}: ${planned.error.value}`);
  }
  language.commit();
  const known: Known[] = [];
  for (const { name, keyword, annotation } of declarations(cell.source)) {
    const found = await language.inspect(name, name.length);
    const type = /^\w+ [\w$]+: ([\s\S]*)$/.exec(found?.data["text/plain"] ?? "")?.[1]?.replace(/\s+/g, " ");
    known.push({ name, keyword, type: annotation ?? type ?? "any" });
  }
  return known;
}

async function firstThatFits(
  language: LanguageService,
  name: string,
  type: string,
  candidates: readonly unknown[],
  known: string,
  path: string,
): Promise<unknown> {
  let reason = "";
  for (const value of [...candidates, ...candidates.flatMap(otherReadings)]) {
    // The checker lets null be of any type.
    if (value === null && !/\b(null|any|unknown)\b/.test(type)) continue;
    const planned = await language.plan(`${name} = ${toLiteral(value)};`, "parameter.ts", true);
    if (!("error" in planned)) return value;
    reason ||= `: ${planned.error.value.replace(/^TS\d+: /, "").replace(/\.$/, "")}`;
  }
  const value = toLiteral(candidates[0]);
  throw new RunError("options", `wrong type for parameter ${name}: ${value}${reason}; ${path} knows ${known}`);
}

/** With its type, so that later cells see the same one; without where the type's text is none that a cell could say. */
async function declare(
  language: LanguageService,
  keyword: string,
  name: string,
  type: string,
  value: string,
): Promise<string> {
  const plain = `${keyword} ${name} = ${value};`;
  if (["string", "number", "boolean", "any"].includes(type)) return plain;
  const typed = `${keyword} ${name}: ${type} = ${value};`;
  const planned = await language.plan(typed, "parameter.ts", true);
  return "error" in planned ? plain : typed;
}

function describe(known: readonly Pick<Known, "name" | "type">[]): string {
  return known.map(({ name, type }) => `${name} (${type})`).join(", ");
}

/** A `const` has the type of its one value, and a parameter is not that value alone. */
function asLet(source: string): string {
  const file = parse(source);
  let result = source;
  for (const statement of file.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    const start = statement.declarationList.getStart(file);
    if (source.startsWith("const", start)) result = `${result.slice(0, start)}let  ${result.slice(start + 5)}`;
  }
  return result;
}

function declarations(source: string): { name: string; keyword: "const" | "let"; annotation: string | undefined }[] {
  const file = parse(source);
  return file.statements.filter(ts.isVariableStatement).flatMap(({ declarationList: list }) => {
    const keyword = list.flags & ts.NodeFlags.Const ? "const" : "let";
    return list.declarations.flatMap(({ name, type }) =>
      ts.isIdentifier(name) ? [{ name: name.text, keyword, annotation: type?.getText(file) } as const] : [],
    );
  });
}

function parse(source: string): import("typescript").SourceFile {
  return ts.createSourceFile("cell.ts", source, ts.ScriptTarget.Latest, true);
}

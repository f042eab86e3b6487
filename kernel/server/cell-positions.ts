/** Where a cell's lines are in the JavaScript that runs, and back; from its source map, version 3. */
import { decodeSegment } from "../language/source-map.ts";

export interface Position {
  /** From 1. */
  line: number;
  /** From 1. */
  column: number;
}

export interface CellPositions {
  /** Where the code of the source's line begins, or of the next one that has code. */
  toScript(line: number): Position | undefined;
  toSource(position: Position): Position;
}

/** The emit puts this many lines before what the map is of. */
const PREFIX_LINES = 1;

interface Mapping {
  script: Position;
  source: Position;
}

export function cellPositions(map: string): CellPositions {
  const mappings = decode((JSON.parse(map) as { mappings: string }).mappings);
  return {
    toScript: (line) => {
      const found = mappings.filter(({ source }) => source.line >= line);
      const nearest = Math.min(...found.map(({ source }) => source.line));
      return found.filter(({ source }) => source.line === nearest).sort((a, b) => compare(a.script, b.script))[0]
        ?.script;
    },
    toSource: (position) => mappings.findLast(({ script }) => compare(script, position) <= 0)?.source ?? position,
  };
}

function compare(a: Position, b: Position): number {
  return a.line - b.line || a.column - b.column;
}

function decode(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  let source = 0;
  let column = 0;
  for (const [line, segments] of text.split(";").entries()) {
    let scriptColumn = 0;
    for (const segment of segments === "" ? [] : segments.split(",")) {
      const [script = 0, file, sourceLine = 0, sourceColumn = 0] = decodeSegment(segment);
      scriptColumn += script;
      if (file === undefined) continue;
      source += sourceLine;
      column += sourceColumn;
      mappings.push({
        script: { line: line + 1 + PREFIX_LINES, column: scriptColumn + 1 },
        source: { line: source + 1, column: column + 1 },
      });
    }
  }
  return mappings;
}

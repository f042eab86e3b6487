/** Keeps what was run, across sessions, in one file of JSON lines. */
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

interface Entry {
  session: number;
  line: number;
  input: string;
  output?: string;
}

/** [session, line, input] or [session, line, [input, output]]. */
export type HistoryItem = [number, number, string | [string, string | null]];

export interface History {
  add(line: number, input: string, output: string | undefined): void;
  /** https://jupyter-client.readthedocs.io/en/stable/messaging.html#history */
  query(request: Record<string, unknown>): HistoryItem[];
}

/** Older entries are not read. */
const MAX_ENTRIES = 20_000;
/** Longer inputs and outputs are kept cut. */
const MAX_CHARACTERS = 100_000;

/** A folder that cannot be written to costs the history of other sessions, never a cell. */
export function openHistory(path: string): History {
  let entries: Entry[] | undefined;
  let session = 1;
  let writable = true;

  /** Read on first use, so that it costs nothing at start. */
  function load(): Entry[] {
    if (entries) return entries;
    entries = readEntries(path);
    session = Math.max(0, ...entries.slice(-1).map((entry) => entry.session)) + 1;
    return entries;
  }

  return {
    add: (line, input, output) => {
      const all = load();
      const entry: Entry = { session, line, input: input.slice(0, MAX_CHARACTERS) };
      if (output !== undefined) entry.output = output.slice(0, MAX_CHARACTERS);
      all.push(entry);
      if (!writable) return;
      try {
        mkdirSync(dirname(path), { recursive: true });
        appendFileSync(path, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
      } catch {
        writable = false;
      }
    },
    query: (request) => {
      const withOutput = request.output === true;
      return select(load(), session, request).map(({ session, line, input, output }) => [
        session,
        line,
        withOutput ? [input, output ?? null] : input,
      ]);
    },
  };
}

function readEntries(path: string): Entry[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .slice(-MAX_ENTRIES - 1)
    .flatMap((line) => {
      try {
        const entry = JSON.parse(line) as Entry;
        const isEntry =
          Number.isInteger(entry.session) && Number.isInteger(entry.line) && typeof entry.input === "string";
        return isEntry ? [entry] : [];
      } catch {
        return []; // Cut off, by a crash or by two kernels that wrote at once.
      }
    });
}

function select(entries: readonly Entry[], current: number, request: Record<string, unknown>): Entry[] {
  const count = typeof request.n === "number" && request.n >= 0 ? request.n : undefined;
  const last = (found: Entry[]) => (count === undefined ? found : found.slice(Math.max(0, found.length - count)));
  if (request.hist_access_type === "range") {
    const asked = typeof request.session === "number" ? request.session : 0;
    const session = asked > 0 ? asked : current + asked;
    const start = typeof request.start === "number" ? request.start : 0;
    const stop = typeof request.stop === "number" ? request.stop : Number.POSITIVE_INFINITY;
    return entries.filter((entry) => entry.session === session && entry.line >= start && entry.line < stop);
  }
  if (request.hist_access_type !== "search") return last([...entries]);
  const pattern = globPattern(typeof request.pattern === "string" ? request.pattern : "*");
  let found = entries.filter((entry) => pattern.test(entry.input));
  if (request.unique === true) found = [...new Map(found.map((entry) => [entry.input, entry])).values()];
  return last(found);
}

/** `*` any text, `?` one character, over the whole input. */
function globPattern(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", "[^]*")
    .replaceAll("?", "[^]");
  return new RegExp(`^${source}$`);
}

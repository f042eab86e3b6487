/** `prunelab cache`: lists what is cached, or clears it. */
import { PrunelabError } from "../../src/errors.ts";
import { type CacheEntry, cacheEntries, cacheFolder, cacheKinds, clearCache } from "../../src/hub/cache-folder.ts";
import { type Command, defineCommand, type Result } from "./command.ts";

export const cache: Command = defineCommand({
  usage: "[list | clear [name...]]",
  description: `Lists what is cached, with its size and last use; clear removes all of it, or the entries named:
a name as listed, or a kind (${cacheKinds.join(", ")}). All of it can be made again.
The cache is ${cacheFolder()}; PRUNELAB_CACHE names another folder.`,
  operands: "many",
  options: {},
  json: "the entries",
  examples: [
    ["", "what is there"],
    ["clear weights pruning", "free the disk of what is quickest to make again"],
  ],
  run: async (_values, [command = "list", ...names]): Promise<Result> => {
    if (command === "list" && names.length === 0) {
      const entries = await cacheEntries();
      return { text: table(entries), json: entries };
    }
    if (command === "clear") return await clear(names);
    throw new PrunelabError(`unknown command of cache; known are list, clear: ${[command, ...names].join(" ")}`);
  },
});

async function clear(names: readonly string[]): Promise<Result> {
  const isNamed = (entry: CacheEntry) => names.includes(entry.name) || names.includes(entry.kind);
  if (names.length > 0) {
    const entries = await cacheEntries();
    for (const name of names) {
      if (!entries.some((entry) => entry.name === name || entry.kind === name))
        throw new PrunelabError(`not in the cache: ${name}; prunelab cache lists what is`);
    }
  }
  const removed = await clearCache(names.length > 0 ? isNamed : () => true);
  const bytes = removed.reduce((sum, entry) => sum + entry.bytes, 0);
  const count = `${removed.length} ${removed.length === 1 ? "entry" : "entries"}`;
  return { text: `cleared ${count}, ${size(bytes)}`, json: removed };
}

function table(entries: readonly CacheEntry[]): string {
  if (entries.length === 0) return `nothing is cached in ${cacheFolder()}`;
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = [
    ["kind", "name", "size", "last used"],
    ...entries.map(({ kind, name, tasks, bytes, lastUsed }) => [
      kind,
      tasks.length === 0
        ? name
        : `${name}: ${tasks.slice(0, 4).join(", ")}${tasks.length > 4 ? `, … (${tasks.length})` : ""}`,
      size(bytes),
      lastUsed.toISOString().slice(0, 16).replace("T", " "),
    ]),
    ["total", "", size(total), ""],
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 2 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
  return `${cacheFolder()}\n${lines.join("\n")}`;
}

function size(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

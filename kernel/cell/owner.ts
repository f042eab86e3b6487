/** Knows, in the process of the cells, which request the running code belongs to, across timers and promises. */
import { AsyncLocalStorage } from "node:async_hooks";

const storage = new AsyncLocalStorage<string>();
let latest = "";

/** Runs `task`, and all that it starts, as part of the request `id`. */
export function runAs<T>(id: string, task: () => T): T {
  latest = id;
  return storage.run(id, task);
}

/** Where storage hangs its own fields on every promise (Node 20 and 22), text that shows one goes without them. */
export function withoutAsyncIds(text: string): string {
  if (!text.includes("Symbol(async_id_symbol)")) return text;
  const without = text.replace(
    /,?\s*\[Symbol\((?:async_id_symbol|trigger_async_id_symbol|kResourceStore)\)\]: [^,\n}]+/g,
    "",
  );
  return without.replace(/\bPromise \{\n\s*([^\n]*)\n\s*\}/g, "Promise { $1 }");
}

/** The request that started the running code; the latest one where that is not known. */
export function ownerId(): string {
  return storage.getStore() ?? latest;
}

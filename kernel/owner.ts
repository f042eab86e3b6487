/** Knows, in the process of the cells, which request the running code belongs to, across timers and promises. */
import { AsyncLocalStorage } from "node:async_hooks";

const storage = new AsyncLocalStorage<string>();
let latest = "";

/** Runs `task`, and all that it starts, as part of the request `id`. */
export function runAs<T>(id: string, task: () => T): T {
  latest = id;
  return storage.run(id, task);
}

/** The request that started the running code; the latest one where that is not known. */
export function ownerId(): string {
  return storage.getStore() ?? latest;
}

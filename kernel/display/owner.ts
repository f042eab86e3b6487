/** Knows, in the process of the cells, which request the running code belongs to, across timers and promises. */
import { AsyncLocalStorage } from "node:async_hooks";
import { inspect } from "node:util";

/** A request, and what aborts when its user stops it. */
export class Owner {
  readonly id: string;
  readonly stop: AbortController = new AbortController();

  constructor(id: string) {
    this.id = id;
  }
}

// Short, since storage hangs it on promises, whose text goes without it again.
Object.defineProperty(Owner.prototype, inspect.custom, { value: () => "owner" });

const storage = new AsyncLocalStorage<Owner>();
let latest = new Owner("");

/** Runs `task`, and all that it starts, as part of a request. */
export function runAs<T>(request: string | Owner, task: () => T): T {
  latest = typeof request === "string" ? new Owner(request) : request;
  return storage.run(latest, task);
}

/** The request that started the running code; the latest one if that is not known. */
export function owner(): Owner {
  return storage.getStore() ?? latest;
}

export function ownerId(): string {
  return owner().id;
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

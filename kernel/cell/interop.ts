/** A CommonJS module as TypeScript's `esModuleInterop` sees it: every property of its exports is a name to import. */

const views = new WeakMap<object, object>();

/** `isExports` says that the default export is a CommonJS module's exports, or JSON; others are as Node has them. */
export function interopOf(namespace: unknown, isExports: boolean): unknown {
  const module = namespace as Record<string, unknown>;
  const main = module.default;
  if (!isExports && !("module.exports" in module)) return namespace;
  if ((typeof main !== "object" && typeof main !== "function") || main === null) return namespace;
  const known = views.get(main);
  if (known) return known;
  const exports = main as Record<string, unknown>;
  const isModule = exports.__esModule === true;
  // As Node's own namespaces: without a prototype, and read-only.
  const view: object = Object.create(null, { [Symbol.toStringTag]: { value: "Module" } });
  const own = Object.keys(exports).filter((name) => name !== "default" && name !== "__esModule");
  const detected = Object.keys(module).filter(
    (name) => name !== "default" && name !== "module.exports" && name !== "__esModule",
  );
  for (const name of new Set([...own, ...detected])) {
    const get = () => (name in exports ? exports[name] : module[name]);
    Object.defineProperty(view, name, { get, enumerable: true });
  }
  const hasDefault = isModule && "default" in exports;
  Object.defineProperty(view, "default", { get: () => (hasDefault ? exports.default : exports), enumerable: true });
  views.set(main, view);
  return view;
}

export function hasName(module: unknown, name: string): boolean {
  return typeof module === "object" && module !== null && name in module;
}

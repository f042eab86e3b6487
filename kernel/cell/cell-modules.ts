/** Gives cells `import`, `require` and `import.meta` as a module in the notebook's own folder has them. */
import { statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import vm from "node:vm";

export interface CellModules {
  import(specifier: unknown, options?: ImportCallOptions): Promise<unknown>;
  /** An object of these names of a module; an error where it has not all of them. */
  imports(specifier: string, names: readonly string[], options?: ImportCallOptions): Promise<Record<string, unknown>>;
  require: NodeJS.Require;
  meta: { url: string; filename: string; dirname: string; resolve(specifier: string): string };
}

type Import = (specifier: string, options?: ImportCallOptions) => Promise<unknown>;

/** `builtin` gives modules of the kernel's own by name, such as `tslab`. */
export function createCellModules(notebook: string, builtin: Readonly<Record<string, unknown>>): CellModules {
  const url = pathToFileURL(notebook).href;
  const realImport = new vm.Script("(specifier, options) => import(specifier, options)", {
    filename: notebook,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER as never,
  }).runInThisContext() as Import;
  const realRequire = createRequire(url);
  const modifiedMs = new Map<string, number>();

  /** A local file under its URL; one that changed since it was last imported gets a new URL, so that it is read again. */
  function localUrl(specifier: string): string {
    const href = specifier.startsWith("file:") ? specifier : new URL(specifier, url).href;
    const path = fileURLToPath(href.replace(/[?#].*$/, ""));
    const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (modified === undefined) return href;
    const first = modifiedMs.get(path) ?? modified;
    modifiedMs.set(path, first);
    if (modified !== first) forgetLocalModules();
    return modified === first ? href : `${href}${href.includes("?") ? "&" : "?"}modified=${modified}`;
  }

  /** Those that were loaded by require; imported ones are known by their URLs. */
  function forgetLocalModules(): void {
    for (const path of Object.keys(realRequire.cache)) {
      if (!path.includes("/node_modules/")) delete realRequire.cache[path];
    }
  }

  async function importModule(specifier: unknown, options?: ImportCallOptions): Promise<unknown> {
    const name = String(specifier);
    if (Object.hasOwn(builtin, name)) return builtin[name];
    if (!isLocal(name)) return realImport(name, options);
    await registerTypeScript();
    const isJson = /\.json($|[?#])/.test(name);
    return exportsOf(await realImport(localUrl(name), isJson ? { with: { type: "json" } } : options));
  }

  async function importNames(specifier: string, names: readonly string[], options?: ImportCallOptions) {
    const module = (await importModule(specifier, options)) as Record<string, unknown>;
    const missing = names.filter((name) => !(name in module));
    if (missing.length > 0) {
      const what = missing
        .map((name) => (name === "default" ? "a default export" : `an export named ${name}`))
        .join(" and ");
      throw new SyntaxError(`the module ${JSON.stringify(specifier)} does not have ${what}`);
    }
    return Object.fromEntries(names.map((name) => [name, module[name]]));
  }

  const require = new Proxy(realRequire, {
    apply: (target, self, [name]: [string]) => {
      if (Object.hasOwn(builtin, name)) return builtin[name];
      if (isLocal(name)) registerTypeScriptForRequire();
      return Reflect.apply(target, self, [name]);
    },
  });
  const resolve = (specifier: string) =>
    // The second argument needs Node's flag --experimental-import-meta-resolve, which worker-process.ts sets.
    (import.meta.resolve as (specifier: string, parent: string) => string)(specifier, url);
  return {
    import: importModule,
    imports: importNames,
    require,
    meta: { url, filename: notebook, dirname: dirname(notebook), resolve },
  };
}

/** Node sees only the default export of a TypeScript file that is loaded by require; its names are on that. */
function exportsOf(module: unknown): unknown {
  const { default: main } = module as { default?: { __esModule?: boolean } };
  return typeof main === "object" && main?.__esModule === true ? main : module;
}

function isLocal(specifier: string): boolean {
  return /^(\.\.?\/|file:)/.test(specifier) || isAbsolute(specifier);
}

let registered: Promise<void> | undefined;

/** Local files may be TypeScript. Loaded on first need, since tsx costs memory and a tenth of a second. */
function registerTypeScript(): Promise<void> {
  registerTypeScriptForRequire();
  registered ??= import("tsx/esm/api").then(({ register }) => {
    register();
  });
  return registered;
}

let registeredForRequire = false;

/** A file without `"type": "module"` above it is loaded by require, even when it is imported. */
function registerTypeScriptForRequire(): void {
  if (registeredForRequire) return;
  registeredForRequire = true;
  const { register } = createRequire(import.meta.url)("tsx/cjs/api") as typeof import("tsx/cjs/api");
  register();
}

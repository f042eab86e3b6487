/** Gives cells `import`, `require` and `import.meta` as a module in the notebook's own folder has them. */
import { createRequire, register } from "node:module";
import { dirname, isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import vm from "node:vm";
import { MessageChannel } from "node:worker_threads";
import { packageRoot } from "../../src/base/package-root.ts";
import { hasName, interopOf } from "./interop.ts";
import type { LocalHooksData } from "./local-hooks.ts";
import { createRequiredFiles } from "./required-files.ts";

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
  const required = createRequiredFiles(realRequire);

  async function importModule(specifier: unknown, options?: ImportCallOptions): Promise<unknown> {
    const name = String(specifier);
    if (Object.hasOwn(builtin, name)) return builtin[name];
    if (isLocal(name)) {
      await registerTypeScript();
      hooksPort?.postMessage(required.forgetChanged());
    }
    const isJson = /\.json($|[?#])/.test(name);
    const module = await realImport(name, isJson ? { with: { type: "json" } } : options);
    required.look();
    return interopOf(module, isJson || required.isExports((module as { default?: unknown }).default));
  }

  async function importNames(specifier: string, names: readonly string[], options?: ImportCallOptions) {
    const module = (await importModule(specifier, options)) as Record<string, unknown>;
    const missing = names.filter((name) => !hasName(module, name));
    if (missing.length > 0) {
      const what = missing.map((name) => (name === "default" ? "a default export" : `an export named ${name}`));
      throw new SyntaxError(
        `the module ${JSON.stringify(specifier)} does not have ${what.join(" and ")}; what is a type alone is imported by \`import type\``,
      );
    }
    return Object.fromEntries(names.map((name) => [name, module[name]]));
  }

  const require = new Proxy(realRequire, {
    apply: (target, self, [name]: [string]) => {
      if (Object.hasOwn(builtin, name)) return builtin[name];
      if (isLocal(name)) {
        registerTypeScriptForRequire();
        hooksPort?.postMessage(required.forgetChanged());
      }
      const exports = Reflect.apply(target, self, [name]);
      required.look();
      return exports;
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

function isLocal(specifier: string): boolean {
  return /^(\.\.?(\/|$)|file:|#)/.test(specifier) || isAbsolute(specifier);
}

let registered: Promise<void> | undefined;
let hooksPort: MessageChannel["port1"] | undefined;

/** Local files may be TypeScript, and change. Loaded on first need, since tsx costs memory and a tenth of a second. */
function registerTypeScript(): Promise<void> {
  registerTypeScriptForRequire();
  registered ??= import("tsx/esm/api").then(({ register: registerTsx }) => {
    registerTsx();
    const { port1, port2 } = new MessageChannel();
    port1.unref();
    hooksPort = port1;
    const data: LocalHooksData = { port: port2, ownUrl: pathToFileURL(`${packageRoot()}/dist/`).href };
    register(new URL("local-hooks.js", import.meta.url), { data, transferList: [port2] });
  });
  return registered;
}

let registeredForRequire = false;

/** CommonJS files that are TypeScript too. */
function registerTypeScriptForRequire(): void {
  if (registeredForRequire) return;
  registeredForRequire = true;
  const { register: registerTsx } = createRequire(import.meta.url)("tsx/cjs/api") as typeof import("tsx/cjs/api");
  registerTsx();
}

/** Node's loader hooks for the user's own files: one that changed, or that imports one that did, is read again. */
import { existsSync, readFileSync, statSync } from "node:fs";
import {
  createRequire,
  type LoadFnOutput,
  type LoadHookContext,
  type ResolveFnOutput,
  type ResolveHookContext,
} from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";

export interface LocalHooksData {
  /** Tells, each time before a cell imports, of files that were loaded by require and are stale. */
  port: MessagePort;
  /** Files under this URL are the kernel's and the library's own. */
  ownUrl: string;
}

interface Loaded {
  modifiedMs: number | undefined;
  /** In the URL; 0 until the file changes. */
  version: number;
  importers: Set<string>;
}

/** What is used of it; it comes with tsx. */
interface Esbuild {
  transform(source: string, options: Record<string, string>): Promise<{ code: string }>;
}

const files = new Map<string, Loaded>();
let data: LocalHooksData | undefined;
let latest = 0;

export function initialize(given: LocalHooksData): void {
  data = given;
}

type NextResolve = (specifier: string, context: ResolveHookContext) => Promise<ResolveFnOutput>;
type NextLoad = (url: string, context: LoadHookContext) => Promise<LoadFnOutput>;

export async function resolve(
  specifier: string,
  context: ResolveHookContext,
  next: NextResolve,
): Promise<ResolveFnOutput> {
  const parent = context.parentURL?.startsWith("file:") ? pathOf(context.parentURL) : undefined;
  const own = ownTypeScript(specifier, context.parentURL);
  const found = own ?? (await next(specifier, plainContext(context, parent)));
  if (!isLocal(found.url)) return found;
  const path = pathOf(found.url);
  // If the importer is not a loaded file it is a cell, and this the first of what it loads.
  if (parent === undefined || !files.has(parent)) refresh();
  const file = files.get(path) ?? { modifiedMs: modified(path), version: 0, importers: new Set() };
  files.set(path, file);
  if (parent !== undefined && files.has(parent)) file.importers.add(parent);
  const separator = found.url.includes("?") ? "&" : "?";
  const url = file.version === 0 ? found.url : `${found.url}${separator}prunelab=${file.version}`;
  return isTypeScriptModule(path) ? { ...found, url, format: "module" } : { ...found, url };
}

export async function load(url: string, context: LoadHookContext, next: NextLoad): Promise<LoadFnOutput> {
  if (!isLocal(url) || !isTypeScriptModule(pathOf(url))) return next(url, context);
  const path = pathOf(url);
  const { code } = await esbuild().transform(readFileSync(path, "utf8"), {
    loader: path.endsWith("x") ? "tsx" : "ts",
    format: "esm",
    target: `node${process.versions.node}`,
    sourcefile: path,
    sourcemap: "inline",
    tsconfigRaw: tsconfigOf(path),
  });
  return { format: "module", source: code, shortCircuit: true };
}

/** tsx takes TypeScript for CommonJS where no package.json says otherwise; what is none does not pass it. */
function ownTypeScript(specifier: string, parentUrl: string | undefined): ResolveFnOutput | undefined {
  if (!/^(\.\.?(\/|$)|file:|\/)/.test(specifier)) return undefined;
  const [place = "", query = ""] = specifier.split(/(?=\?)/);
  let path: string;
  try {
    path = fileURLToPath(new URL(place, parentUrl));
  } catch {
    return undefined;
  }
  const stems = [path, path.replace(/js(x?)$/, "ts$1"), path.replace(/\.js$/, ".tsx")];
  const added = [".ts", ".tsx", ".mts", "/index.ts", "/index.tsx"].map((end) => path.replace(/\/$/, "") + end);
  const found = [...stems, ...added].find((each) => statSync(each, { throwIfNoEntry: false })?.isFile());
  const url = found === undefined ? "" : pathToFileURL(found).href + query;
  if (found === undefined || !isLocal(url) || !isTypeScriptModule(found)) return undefined;
  return { url, format: "module", shortCircuit: true };
}

/** tsx must not remember an importer of ours as CommonJS. */
function plainContext(context: ResolveHookContext, parent: string | undefined): ResolveHookContext {
  if (parent === undefined || !isTypeScriptModule(parent)) return context;
  return { ...context, parentURL: pathToFileURL(join(dirname(parent), "importer.mjs")).href };
}

function esbuild(): Esbuild {
  const tsx = createRequire(import.meta.url).resolve("tsx/package.json");
  return createRequire(tsx)("esbuild") as Esbuild;
}

/** How decorators and JSX are written. */
function tsconfigOf(path: string): string {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const file = join(folder, "tsconfig.json");
    if (existsSync(file)) return readFileSync(file, "utf8");
    if (folder === dirname(folder)) return "{}";
  }
}

/** Gives what has changed, and all that imports it, a new version. */
function refresh(): void {
  const stale = new Set<string>();
  const mark = (path: string): void => {
    if (stale.has(path)) return;
    stale.add(path);
    for (const importer of files.get(path)?.importers ?? []) mark(importer);
  };
  for (let got = data && receiveMessageOnPort(data.port); got; got = data && receiveMessageOnPort(data.port)) {
    for (const path of got.message as string[]) mark(path);
  }
  for (const [path, { modifiedMs }] of files) if (modified(path) !== modifiedMs) mark(path);
  for (const path of stale) {
    const file = files.get(path);
    if (file) files.set(path, { ...file, modifiedMs: modified(path), version: ++latest });
  }
}

function isLocal(url: string): boolean {
  return url.startsWith("file:") && !url.includes("/node_modules/") && !(data && url.startsWith(data.ownUrl));
}

function pathOf(url: string): string {
  return fileURLToPath(url.replace(/[?#].*$/, ""));
}

function modified(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

/** TypeScript with `import`, `export` or a top-level await is a module, also where no package.json says so. */
function isTypeScriptModule(path: string): boolean {
  if (!/\.m?tsx?$/.test(path)) return false;
  if (path.endsWith(".mts")) return true;
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch {
    return false;
  }
  const awaits = /^(?![ \t*/]).*\bawait\b/m.test(source);
  if (awaits) return true;
  if (/\brequire\s*\(|\b__dirname\b|\b__filename\b|\bmodule\.exports\b|^export\s*=/m.test(source)) return false;
  return /^\s*(import|export)\b|\bimport\.meta\b/m.test(source);
}
